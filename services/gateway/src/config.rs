//! Settings of the gateway.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

/// The settings' file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Permissions of Docker's socket.
    pub socket_mode: u32,
    /// TCP addresses to listen on, without TLS. Every process that connects there has the power of root, so the
    /// gateway accepts loopback addresses only.
    pub tcp: Vec<SocketAddr>,
    /// TCP addresses to listen on with mutual TLS.
    pub tls: Option<Tls>,
    /// The TCP address where Prometheus finds the metrics of all services; on loopback only.
    pub metrics: Option<SocketAddr>,
    /// Names of the plugins that must allow each request, in the order of asking.
    pub authorization_plugins: Vec<String>,
    /// The folders in which the gateway looks for plugins.
    pub plugins: gantry_plugin::Folders,
}

/// The settings' table `tls`. A client with a certificate of the authority may do everything, any other client nothing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The addresses to listen on.
    #[serde(default)]
    pub listen: Vec<SocketAddr>,
    /// The certificate of the authority that signs clients' certificates (PEM).
    pub ca: PathBuf,
    /// The server's certificate, then the intermediate ones (PEM).
    pub cert: PathBuf,
    /// The server's key (PEM).
    pub key: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            socket_mode: 0o660,
            tcp: Vec::new(),
            tls: None,
            metrics: None,
            authorization_plugins: Vec::new(),
            plugins: gantry_plugin::Folders::default(),
        }
    }
}

impl Config {
    /// Refuses settings that would let strangers in.
    pub fn validate(&self) -> Result<(), String> {
        if let Some(address) = self.tcp.iter().find(|address| !address.ip().is_loopback()) {
            return Err(format!(
                "tcp address {address} is not a loopback address: anyone who reaches it would be root (`tls` is for others)"
            ));
        }
        match self.metrics {
            Some(address) if !address.ip().is_loopback() => {
                Err(format!("metrics address {address} is not a loopback address"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_listened_on() {
        let config =
            |address: &str| Config { tcp: vec![address.parse().expect("address")], ..Config::default() };
        assert!(config("127.0.0.1:2375").validate().is_ok());
        assert!(config("0.0.0.0:2375").validate().is_err());
    }
}
