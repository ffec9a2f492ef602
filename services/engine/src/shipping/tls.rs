//! Connects to receivers over TLS.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_tls::{Identity, PemFile, Trust};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The user's settings for certificates of both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates {
    /// A certificate authority that is accepted besides the system's.
    pub ca: Option<PathBuf>,
    /// The client's own certificate and key.
    pub own: Option<[PathBuf; 2]>,
    /// Whether any certificate of the receiver is accepted.
    pub anyone: bool,
}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// A file that cannot be used, in Docker's words.
    pub fn connector(&self) -> Result<TlsConnector, String> {
        let mut trust = Trust { anyone: self.anyone, ..Trust::default() };
        if let Some(ca) = &self.ca {
            let file = read(ca).map_err(|why| format!("could not read CA certificate {ca:?}: {why}"))?;
            if !file.pem.windows(BEGIN.len()).any(|window| window == BEGIN) {
                return Err(format!("failed to append certificates from PEM file: {ca:?}"));
            }
            trust.roots.push(file);
        }
        if let Some([certificates, key]) = &self.own {
            let own =
                read(certificates).and_then(|certificates| Ok(Identity { certificates, key: read(key)? }));
            trust.identity = Some(own.map_err(|why| format!("Could not load X509 key pair: {why}"))?);
        }
        let configuration = trust.configuration().map_err(|why| match &self.own {
            Some(own) if own.contains(&why.path) => format!("Could not load X509 key pair: {}", why.cause),
            _ => format!("failed to append certificates from PEM file: {:?}", why.path),
        })?;
        Ok(TlsConnector::from(Arc::new(configuration)))
    }
}

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

fn read(path: &Path) -> Result<PemFile, String> {
    PemFile::read(path).map_err(|error| format!("open {}: {}", path.display(), crate::archive::words(&error)))
}

/// Starts TLS on `stream` and verifies that the peer is `host` (`name:port`).
pub async fn secured(
    connector: &TlsConnector,
    stream: TcpStream,
    host: &str,
) -> io::Result<TlsStream<TcpStream>> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    connector.connect(name, stream).await
}
