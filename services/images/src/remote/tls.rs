//! Whom a connection trusts: the system's roots, the certificates put beside a host's name, or, on loopback, anyone.
//!
//! ```text
//! /etc/docker/certs.d/<host[:port]>/*.crt         CAs (or a self-signed server certificate itself)
//! /etc/docker/certs.d/<host[:port]>/x.cert x.key  a client's certificate and its key
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use reqwest::redirect::Policy;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::settings::{Settings, is_loopback};
use crate::error::Error;

/// A file's path and its bytes.
type PemFile = (PathBuf, Vec<u8>);

/// What was found on disk for one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trust {
    /// PEM files with certificates to trust.
    roots: Vec<PemFile>,
    /// PEM files of the client's certificate and key.
    identity: Option<(PemFile, PemFile)>,
    /// No certificate is demanded: an insecure host without one of its own on disk.
    anyone: bool,
}

impl Trust {
    /// Reads the certificates of `authority` from all `directories`; a missing directory holds none.
    pub(super) fn load(directories: &[PathBuf], authority: &str, insecure: bool) -> Result<Self, Error> {
        let mut trust = Self { roots: Vec::new(), identity: None, anyone: false };
        for directory in directories {
            trust.load_directory(&directory.join(authority))?;
        }
        trust.anyone = insecure && trust.roots.is_empty();
        Ok(trust)
    }

    fn load_directory(&mut self, directory: &Path) -> Result<(), Error> {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(());
            }
            Err(source) => return Err(unreadable(directory, source)),
        };
        let mut paths = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| unreadable(directory, source))?;
        paths.sort();
        for path in paths {
            let read = |path: &Path| fs::read(path).map_err(|source| unreadable(path, source));
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => self.roots.push((path.clone(), read(&path)?)),
                Some("cert") => {
                    let key = path.with_extension("key");
                    self.identity = Some(((path.clone(), read(&path)?), (key.clone(), read(&key)?)));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn unreadable(path: &Path, source: io::Error) -> Error {
    Error::Io { op: "read certificates", path: path.to_owned(), source }
}

fn unusable(path: &Path, cause: impl std::fmt::Display) -> Error {
    Error::Certificate { path: path.to_owned(), cause: cause.to_string() }
}

/// Makes the pool of connections for one host.
pub(super) fn client(
    trust: &Trust,
    authority: &str,
    insecure: bool,
    settings: &Settings,
) -> Result<reqwest::Client, Error> {
    // An insecure host is tried over TLS first: one that never answers the handshake must not hold things up.
    let connect_timeout = match insecure {
        true => settings.connect_timeout.min(std::time::Duration::from_secs(3)),
        false => settings.connect_timeout,
    };
    let builder = builder(trust, authority, connect_timeout)?.redirect(Policy::limited(10));
    builder.build().map_err(|source| Error::HttpClient { host: authority.to_owned(), source })
}

/// What all clients have in common.
pub(super) fn builder(
    trust: &Trust,
    authority: &str,
    connect_timeout: std::time::Duration,
) -> Result<reqwest::ClientBuilder, Error> {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("gantry/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect_timeout)
        .referer(false)
        // One connection per layer moves more than one multiplexed connection for all.
        .http1_only()
        .pool_max_idle_per_host(8)
        .tls_backend_preconfigured(configuration(trust)?);
    Ok(match is_loopback(authority) {
        true => builder.no_proxy(),
        false => builder,
    })
}

fn configuration(trust: &Trust) -> Result<rustls::ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore { roots: system_roots().roots.clone() };
    let mut pinned = Vec::new();
    for (path, pem) in &trust.roots {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| unusable(path, error))?;
            roots.add(certificate.clone()).map_err(|error| unusable(path, error))?;
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
    let verifier = Verifier { chains, pinned, anyone: trust.anyone, provider: Arc::clone(&provider) };
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut configuration = match &trust.identity {
        None => builder.with_no_client_auth(),
        Some(((path, certificate), (key_path, key))) => {
            let chain = CertificateDer::pem_slice_iter(certificate)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| unusable(path, error))?;
            let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| unusable(key_path, error))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| unusable(path, error))?
        }
    };
    configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(configuration)
}

/// The system's certificate authorities, read once; none on a machine that has none.
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

/// Verifies chains as everybody does, and knows two exceptions: a server certificate that is itself among those
/// put on disk for the host (self-signed, which webpki refuses as "CA used as end entity"), and insecure hosts.
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
