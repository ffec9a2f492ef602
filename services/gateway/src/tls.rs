//! Docker's API over TCP with mutual TLS: who has a certificate of our authority may do everything, nobody else anything.
//!
//! TLS ends here: what is inside goes through a socket pair to where every other client's bytes arrive, so that
//! taking connections over and half-closing them are the same for all.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gantry_daemon::BoxError;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsAcceptor;

/// How long a client may take to prove who it is.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What the file of settings may say under `tls`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The addresses to listen on.
    #[serde(default)]
    pub listen: Vec<SocketAddr>,
    /// The certificate of the authority that clients' certificates are of (PEM).
    pub ca: PathBuf,
    /// The server's certificate, and those between it and its authority (PEM).
    pub cert: PathBuf,
    /// The server's key (PEM).
    pub key: PathBuf,
}

/// The server's side of TLS. Cheap to clone.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl Tls {
    /// Reads the certificates and the key.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or that does not hold what it should.
    pub fn open(settings: &Settings) -> Result<Self, BoxError> {
        let wrong = |what: &str, path: &PathBuf| format!("tls {what} {}: ", path.display());
        let certificates = |what, path: &PathBuf| -> Result<Vec<_>, String> {
            let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            match read {
                Ok(list) if list.is_empty() => Err(wrong(what, path) + "no certificate in it"),
                Ok(list) => Ok(list),
                Err(error) => Err(wrong(what, path) + &error.to_string()),
            }
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates("ca", &settings.ca)? {
            roots.add(certificate).map_err(|error| wrong("ca", &settings.ca) + &error.to_string())?;
        }
        let key = PrivateKeyDer::from_pem_file(&settings.key)
            .map_err(|error| wrong("key", &settings.key) + &error.to_string())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_single_cert(certificates("cert", &settings.cert)?, key)
            .map_err(|error| wrong("cert", &settings.cert) + &error.to_string())?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Verifies the client: a socket with what it says inside, and the work that carries it there.
    pub async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<(UnixStream, impl Future<Output = ()> + use<>)> {
        let inside = tokio::time::timeout(HANDSHAKE, self.0.accept(stream)).await??;
        let (ours, theirs) = UnixStream::pair()?;
        let carry = async move {
            let (from_client, to_client) = tokio::io::split(inside);
            let (from_us, to_us) = theirs.into_split();
            let mut input = std::pin::pin!(copy(from_client, to_us));
            let mut output = std::pin::pin!(copy(from_us, to_client));
            // Where nobody takes input any more, output still arrives; a client that is gone gets none.
            let arrived = tokio::select! {
                arrived = &mut output => arrived,
                taken = &mut input => {
                    told(taken);
                    return told(output.await);
                }
            };
            match arrived {
                Ok(()) => told(input.await),
                gone => told(gone),
            }
        };
        Ok((ours, carry))
    }
}

/// Copies one direction to its end.
async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    tokio::io::copy(&mut from, &mut to).await?;
    to.shutdown().await
}

fn told(copied: io::Result<()>) {
    if let Err(error) = copied {
        tracing::debug!(%error, "TLS connection ended early");
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}
