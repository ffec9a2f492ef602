//! The addresses of plugins.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_tls::{Identity, PemFile, Trust};
use rustls::ClientConfig;
use serde::Deserialize;

use crate::connection::words;
use crate::error::{Error, Result};

/// The longest file with an address, in bytes.
const LIMIT: u64 = 1 << 20;
/// The `Host` header of requests to a plugin on a unix socket.
const LOCAL: &str = "plugin.moby.localhost";

/// An address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A socket on this host.
    Unix(PathBuf),
    /// `host:port`, in plain text.
    Tcp(String),
    /// `host:port`, with TLS.
    Tls(String, Certificates),
}

/// The certificates in a plugin's file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Certificates {
    /// An authority beside the system's; empty: none.
    #[serde(rename = "CAFile")]
    pub ca_file: PathBuf,
    /// The client's certificate.
    pub cert_file: PathBuf,
    /// Its key.
    pub key_file: PathBuf,
    /// The plugin's certificate is not verified.
    pub insecure_skip_verify: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    #[serde(default)]
    addr: String,
    #[serde(rename = "TLSConfig")]
    tls_config: Option<Certificates>,
}

impl Place {
    /// Parses a file with the address of a plugin.
    pub(crate) fn read(path: &Path) -> Result<Place> {
        let failed = |why: String| Error::Specification { path: path.to_owned(), why };
        let size = std::fs::metadata(path).map_err(|error| failed(words(&error)))?.len();
        if size > LIMIT {
            return Err(failed(format!("has {size} bytes, and says no address")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| failed(words(&error)))?;
        if path.extension().is_none_or(|kind| kind != "json") {
            let anyone = Certificates { insecure_skip_verify: true, ..Certificates::default() };
            return Place::parse(text.trim(), anyone);
        }
        let described: Described = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
        let mut certificates = described.tls_config.unwrap_or_default();
        // Where the file has no certificates, Docker does not verify the plugin's certificate either.
        certificates.insecure_skip_verify |=
            certificates.ca_file.as_os_str().is_empty() && certificates != Certificates::default();
        Place::parse(&described.addr, certificates)
    }

    fn parse(address: &str, certificates: Certificates) -> Result<Place> {
        let (scheme, rest) = address.split_once("://").ok_or(Error::UnknownProtocol)?;
        let host = || rest.split('/').next().unwrap_or(rest).to_owned();
        match scheme {
            "" => Err(Error::UnknownProtocol),
            "unix" => Ok(Place::Unix(PathBuf::from(rest))),
            "https" => Ok(Place::Tls(host(), certificates)),
            _ => Ok(Place::Tcp(host())),
        }
    }

    /// The `Host` header of requests to the plugin.
    pub(crate) fn host(&self) -> &str {
        match self {
            Place::Unix(_) => LOCAL,
            Place::Tcp(host) | Place::Tls(host, _) => host,
        }
    }

    /// The URL of a method, for errors.
    pub(crate) fn url(&self, method: &str) -> String {
        let scheme = if matches!(self, Place::Tls(..)) { "https" } else { "http" };
        format!("{scheme}://{}/{method}", self.host())
    }
}

impl Certificates {
    /// The client's side of TLS.
    ///
    /// # Errors
    ///
    /// When a file cannot be used, with Docker's message.
    pub(crate) fn configuration(&self) -> Result<Arc<ClientConfig>> {
        let named = |path: &PathBuf| !path.as_os_str().is_empty();
        let mut trust = Trust { anyone: self.insecure_skip_verify, ..Trust::default() };
        if named(&self.ca_file) {
            let ca = read(&self.ca_file).map_err(|why| {
                Error::Certificates(format!("could not read CA certificate {:?}: {why}", self.ca_file))
            })?;
            trust.roots.push(ca);
        }
        if named(&self.cert_file) || named(&self.key_file) {
            let own = read(&self.cert_file)
                .and_then(|certificates| Ok(Identity { certificates, key: read(&self.key_file)? }));
            let own =
                own.map_err(|why| Error::Certificates(format!("Could not load X509 key pair: {why}")))?;
            trust.identity = Some(own);
        }
        trust.configuration().map(Arc::new).map_err(|unusable| Error::Certificates(unusable.to_string()))
    }
}

fn read(path: &Path) -> Result<PemFile, String> {
    PemFile::read(path).map_err(|error| format!("open {}: {}", path.display(), words(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_as(name: &str, text: &str) -> Result<Place> {
        let root = tempfile::tempdir().expect("a directory");
        let path = root.path().join(name);
        std::fs::write(&path, text).expect("written");
        Place::read(&path)
    }

    #[test]
    fn addresses_have_a_protocol() {
        let place = |text: &str| read_as("a.spec", text).expect("read");
        assert_eq!(place("unix:///run/a.sock\n"), Place::Unix("/run/a.sock".into()));
        assert_eq!(place("tcp://h:1"), Place::Tcp("h:1".to_owned()));
        assert_eq!(place("http://h:1/"), Place::Tcp("h:1".to_owned()));
        let anyone = Certificates { insecure_skip_verify: true, ..Certificates::default() };
        assert_eq!(place("https://h:1"), Place::Tls("h:1".to_owned(), anyone));
        assert!(matches!(read_as("a.spec", "bogus"), Err(Error::UnknownProtocol)));
        assert!(matches!(read_as("a.spec", ""), Err(Error::UnknownProtocol)));
        assert!(matches!(read_as("a.json", r#"{"Addr": "#), Err(Error::Specification { .. })));
        assert!(matches!(read_as("a.json", "{}"), Err(Error::UnknownProtocol)));
    }

    #[test]
    fn who_names_no_authority_trusts_anyone_only_with_tls_settings() {
        let anyone = |text: &str| match read_as("a.json", text).expect("read") {
            Place::Tls(_, certificates) => certificates.insecure_skip_verify,
            other => panic!("{other:?}"),
        };
        assert!(!anyone(r#"{"Addr": "https://h:1"}"#));
        assert!(!anyone(r#"{"Addr": "https://h:1", "TLSConfig": {"CAFile": "/ca"}}"#));
        assert!(anyone(r#"{"Addr": "https://h:1", "TLSConfig": {"CertFile": "/c", "KeyFile": "/k"}}"#));
        let missing = Certificates { ca_file: "/nope".into(), ..Certificates::default() };
        let why = missing.configuration().expect_err("no file").to_string();
        assert_eq!(why, "could not read CA certificate \"/nope\": open /nope: no such file or directory");
    }
}
