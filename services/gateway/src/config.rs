//! Settings of the gateway.

use std::net::SocketAddr;

use serde::Deserialize;

/// What the file of settings may say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Permissions of Docker's socket.
    pub socket_mode: u32,
    /// TCP addresses to listen on. Who may connect there is root: only loopback is accepted.
    pub tcp: Vec<SocketAddr>,
}

impl Default for Config {
    fn default() -> Self {
        Self { socket_mode: 0o660, tcp: Vec::new() }
    }
}

impl Config {
    /// Refuses what would be unsafe.
    pub fn validate(&self) -> Result<(), String> {
        match self.tcp.iter().find(|address| !address.ip().is_loopback()) {
            Some(address) => Err(format!(
                "tcp address {address} is not a loopback address: anyone who reaches it would be root"
            )),
            None => Ok(()),
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
