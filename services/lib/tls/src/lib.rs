//! The client's side of TLS: which servers it trusts, and its own identity.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::{fs, io};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// The longest file in bytes: all authorities of a system take 250 KiB.
const LIMIT: u64 = 4 << 20;

/// A file with certificates or a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PemFile {
    /// Its path.
    pub path: PathBuf,
    /// Its content.
    pub pem: Vec<u8>,
}

/// A client's certificate with the intermediate ones, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificates.
    pub certificates: PemFile,
    /// The key.
    pub key: PemFile,
}

/// Which servers a client trusts, and its identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Certificates to trust beside the system's: authorities, or a server's own.
    pub roots: Vec<PemFile>,
    /// The client's identity.
    pub identity: Option<Identity>,
    /// The server's certificate is not verified.
    pub anyone: bool,
}

/// A file with the wrong content.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", path.display())]
pub struct Unusable {
    /// The file.
    pub path: PathBuf,
    /// The reason.
    pub cause: String,
}

impl PemFile {
    /// Reads a file without parsing it. Refuses what is not a file, or is longer than certificates are.
    pub fn read(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let metadata = fs::metadata(&path)?;
        if !metadata.is_file() || metadata.len() > LIMIT {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file of certificates"));
        }
        fs::read(&path).map(|pem| Self { path, pem })
    }

    fn unusable(&self, cause: impl ToString) -> Unusable {
        Unusable { path: self.path.clone(), cause: cause.to_string() }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Unusable> {
        let read = CertificateDer::pem_slice_iter(&self.pem).collect::<Result<_, _>>();
        read.map_err(|error| self.unusable(error))
    }
}

impl Trust {
    /// The TLS configuration of a client, without a protocol inside.
    ///
    /// # Errors
    ///
    /// A file that cannot be used.
    pub fn configuration(&self) -> Result<ClientConfig, Unusable> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore { roots: system_roots().roots.clone() };
        let mut pinned = Vec::new();
        for file in &self.roots {
            for certificate in file.certificates()? {
                roots.add(certificate.clone()).map_err(|error| file.unusable(error))?;
                pinned.push(certificate);
            }
        }
        let chains = match roots.is_empty() {
            true => None,
            false => Some(
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                    .build()
                    .expect("the store has roots and no revocation lists"),
            ),
        };
        let verifier = Verifier { chains, pinned, anyone: self.anyone, provider: Arc::clone(&provider) };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring supports the default protocol versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let Some(Identity { certificates, key }) = &self.identity else {
            return Ok(builder.with_no_client_auth());
        };
        let private = PrivateKeyDer::from_pem_slice(&key.pem).map_err(|error| key.unusable(error))?;
        let shown = builder.with_client_auth_cert(certificates.certificates()?, private);
        shown.map_err(|error| certificates.unusable(error))
    }
}

/// The system's certificate authorities, read once; empty on a host without any.
fn system_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut store = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::debug!(%error, "a system certificate was left out");
        }
        store.add_parsable_certificates(found.certs);
        store
    })
}

/// Verifies chains as usual, with two exceptions: a server certificate that is itself trusted (a self-signed one,
/// which webpki refuses as "CA used as end entity"), and clients that verify none.
#[derive(Debug)]
struct Verifier {
    chains: Option<Arc<WebPkiServerVerifier>>,
    pinned: Vec<CertificateDer<'static>>,
    anyone: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.anyone {
            return Ok(ServerCertVerified::assertion());
        }
        if self.pinned.iter().any(|pinned| pinned.as_ref() == end_entity.as_ref()) {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
            return Ok(ServerCertVerified::assertion());
        }
        match &self.chains {
            Some(chains) => chains.verify_server_cert(end_entity, intermediates, name, ocsp, now),
            None => Err(rustls::CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_of_certificates_is_refused() {
        let refused = |path: &str| PemFile::read(path).expect_err("refused").kind();
        assert_eq!(refused("/no/such"), io::ErrorKind::NotFound);
        assert_eq!(refused("/dev/zero"), io::ErrorKind::InvalidInput);
        assert_eq!(refused("/proc"), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn the_file_that_cannot_be_used_is_named() {
        let file = |path: &str, pem: &str| PemFile { path: path.into(), pem: pem.as_bytes().to_vec() };
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let trust = Trust { roots: vec![file("/ca", broken)], ..Trust::default() };
        assert_eq!(trust.configuration().expect_err("no certificate").path, PathBuf::from("/ca"));
        let identity = Identity { certificates: file("/cert", ""), key: file("/key", "nothing") };
        let trust = Trust { identity: Some(identity), ..Trust::default() };
        assert_eq!(trust.configuration().expect_err("no key").path, PathBuf::from("/key"));
        assert!(Trust::default().configuration().is_ok());
    }
}
