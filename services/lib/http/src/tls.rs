//! The server's side of TLS: what it shows, and whom it demands.

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
/// HTTP/2, as a client asks for it (RFC 9113, section 3.2).
pub(crate) const HTTP_2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";

/// Of whom a certificate is demanded. Authorities are files of certificates (PEM).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clients<'a> {
    /// Of nobody.
    Anyone,
    /// Who shows one must have it from this authority.
    MayProve(&'a Path),
    /// Of everybody, from this authority.
    MustProve(&'a Path),
}

/// What is spoken inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocols {
    /// HTTP/1.1, of which connections can be taken over.
    Http1,
    /// HTTP/2 with who asks for it, else HTTP/1.1.
    Http2,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read, or does not hold what it should.
    #[error("tls {what} {}", path.display())]
    File {
        /// What should be in it.
        what: &'static str,
        /// Where it should be.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: FileError,
    },
    /// No client could be verified.
    #[error("clients cannot be verified")]
    Clients(#[source] VerifierBuilderError),
    /// The library has no version of TLS in common with itself.
    #[error("no version of TLS can be spoken")]
    Versions(#[source] rustls::Error),
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not there, or no PEM.
    #[error(transparent)]
    Pem(#[from] pem::Error),
    /// It has no certificate.
    #[error("no certificate in it")]
    Empty,
    /// What is in it cannot be used.
    #[error(transparent)]
    Unusable(#[from] rustls::Error),
}

/// The server's side of TLS. Cheap to clone.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl Tls {
    /// Reads the server's certificate with those between it and its authority, its key, and the clients' authority.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or that does not hold what it should.
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

    /// Does the handshake, and verifies the client.
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
