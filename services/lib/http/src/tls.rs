//! The server's side of TLS: its certificate, and the certificates that it wants of clients.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a client may take for the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The protocol name of HTTP/2 (RFC 9113, section 3.2).
pub(crate) const HTTP_2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";

/// Which clients need a certificate. An authority is a file of certificates (PEM).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clients<'a> {
    /// None.
    Anyone,
    /// None; a certificate that a client sends must be of this authority.
    MayProve(&'a Path),
    /// Every client, of this authority.
    MustProve(&'a Path),
}

/// The protocol inside TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocols {
    /// HTTP/1.1, whose connections can be taken over.
    Http1,
    /// HTTP/2 with clients that ask for it, else HTTP/1.1.
    Http2,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or has the wrong content.
    #[error("tls {what} {}", path.display())]
    File {
        /// The expected content.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: FileError,
    },
    /// The authority of the clients cannot be used.
    #[error("clients cannot be verified")]
    Clients(#[source] VerifierBuilderError),
    /// The library supports no version of TLS.
    #[error("no version of TLS can be spoken")]
    Versions(#[source] rustls::Error),
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read, or is not PEM.
    #[error(transparent)]
    Pem(#[from] pem::Error),
    /// It has no certificate.
    #[error("no certificate in it")]
    Empty,
    /// Its content cannot be used.
    #[error(transparent)]
    Unusable(#[from] rustls::Error),
}

/// The server's side of TLS. Cheap to clone.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl Tls {
    /// Reads the server's certificate chain and key, and the clients' authority.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or has the wrong content.
    pub fn open(
        certificate: &Path,
        key: &Path,
        clients: Clients<'_>,
        protocols: Protocols,
    ) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Versions)?;
        let verifier = |authority: &Path| -> Result<_, TlsError> {
            Ok(WebPkiClientVerifier::builder_with_provider(
                Arc::new(roots(authority)?),
                Arc::clone(&provider),
            ))
        };
        let config = match clients {
            Clients::Anyone => config.with_no_client_auth(),
            Clients::MayProve(authority) => config.with_client_cert_verifier(
                verifier(authority)?.allow_unauthenticated().build().map_err(TlsError::Clients)?,
            ),
            Clients::MustProve(authority) => {
                config.with_client_cert_verifier(verifier(authority)?.build().map_err(TlsError::Clients)?)
            }
        };
        let private = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong("key", key)(error.into()))?;
        let mut config = config
            .with_single_cert(certificates("cert", certificate)?, private)
            .map_err(|error| wrong("cert", certificate)(error.into()))?;
        config.alpn_protocols = match protocols {
            Protocols::Http1 => vec![HTTP_1_1.to_vec()],
            Protocols::Http2 => vec![HTTP_2.to_vec(), HTTP_1_1.to_vec()],
        };
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Does the handshake and verifies the client's certificate.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<Box<TlsStream<TcpStream>>> {
        tokio::time::timeout(HANDSHAKE, self.0.accept(stream)).await?.map(Box::new)
    }
}

fn roots(authority: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("ca", authority)? {
        roots.add(certificate).map_err(|error| wrong("ca", authority)(error.into()))?;
    }
    Ok(roots)
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(list) if list.is_empty() => Err(wrong(what, path)(FileError::Empty)),
        Ok(list) => Ok(list),
        Err(error) => Err(wrong(what, path)(error.into())),
    }
}

fn wrong(what: &'static str, path: &Path) -> impl Fn(FileError) -> TlsError {
    move |source| TlsError::File { what, path: path.to_owned(), source }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}
