//! The operator's settings about registries.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of the registry client.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Directories with `<host[:port]>/*.crt` (CAs) and `*.cert` + `*.key` (client pairs).
    pub certificate_directories: Vec<PathBuf>,
    /// By registry (`docker.io`): the base URLs of mirrors, which pulls ask before the registry.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Hosts (`host[:port]`) that may speak plain HTTP and whose certificates are not verified, beside loopback ones.
    pub insecure: Vec<String>,
    /// The limit of a TCP connection and its TLS handshake.
    pub connect_timeout: Duration,
    /// How long a request may wait for the next byte of its response.
    pub idle_timeout: Duration,
    /// How many failures an operation may have; a timeout counts as three.
    pub retries: u32,
    /// The longest `Retry-After` that the client waits.
    pub patience: Duration,
    /// How many layers of a pull are fetched at a time.
    pub connections: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            certificate_directories: vec![PathBuf::from("/etc/docker/certs.d")],
            mirrors: BTreeMap::new(),
            insecure: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            retries: 8,
            patience: Duration::from_secs(60),
            connections: 5,
        }
    }
}

impl Settings {
    /// The mirrors of `domain`, in the order of asking.
    pub(crate) fn mirrors_of(&self, domain: &str) -> Vec<String> {
        self.mirrors.get(domain).cloned().unwrap_or_default()
    }

    /// Whether `authority` may speak plain HTTP: loopback addresses always, others by the settings.
    pub(crate) fn may_be_insecure(&self, authority: &str) -> bool {
        is_loopback(authority) || self.insecure.iter().any(|host| host == authority)
    }
}

/// Whether `authority` (`host[:port]`) names this machine's loopback interface.
pub(crate) fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_hosts_are_recognised() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:80", "127.9.9.9", "[::1]:5000", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["registry", "128.0.0.1:5000", "localhost.example:5000", "[::2]:1", "10.0.0.1"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
