//! Ports of containers, and the ports of the host that are published for them.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// A port of a container: `80/tcp`, `53/udp`; TCP without a protocol. Ports order by protocol first, then by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// The transport protocol.
    pub protocol: Protocol,
    /// The port number, 1 or more.
    pub number: u16,
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// SCTP.
    Sctp,
    /// UDP.
    Udp,
}

/// The host ports from which one is chosen: `8080`, `8000-8010`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostPorts {
    /// Any port: the user gave none, or `0`.
    Any,
    /// The first and the last port.
    Range(u16, u16),
}

impl Port {
    /// Whether this port is the one right after another of the same protocol.
    pub fn follows(self, other: Port) -> bool {
        self.protocol == other.protocol && other.number.checked_add(1) == Some(self.number)
    }
}

impl FromStr for Port {
    type Err = Error;

    fn from_str(text: &str) -> Result<Port> {
        let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let number = port.parse::<u16>().ok().filter(|number| *number > 0);
        match (number, Protocol::of(protocol)) {
            (Some(number), Some(protocol)) => Ok(Port { protocol, number }),
            _ => Err(invalid(text)),
        }
    }
}

impl Protocol {
    fn of(text: &str) -> Option<Protocol> {
        match text {
            "tcp" => Some(Protocol::Tcp),
            "sctp" => Some(Protocol::Sctp),
            "udp" => Some(Protocol::Udp),
            _ => None,
        }
    }

    /// The protocol as it is written in a port.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Sctp => "sctp",
            Protocol::Udp => "udp",
        }
    }
}

impl From<Protocol> for gantry_api::network::Protocol {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Tcp => gantry_api::network::Protocol::Tcp,
            Protocol::Sctp => gantry_api::network::Protocol::Sctp,
            Protocol::Udp => gantry_api::network::Protocol::Udp,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl HostPorts {
    /// The first and the last port, as the network service takes them.
    pub fn range(self) -> Option<(u16, u16)> {
        match self {
            HostPorts::Any => None,
            HostPorts::Range(first, last) => Some((first, last)),
        }
    }
}

impl FromStr for HostPorts {
    type Err = Error;

    fn from_str(text: &str) -> Result<HostPorts> {
        if text.is_empty() || text == "0" {
            return Ok(HostPorts::Any);
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.parse::<u16>(), last.parse::<u16>()) {
            (Ok(first), Ok(last)) if first <= last => Ok(HostPorts::Range(first, last)),
            _ => Err(invalid(text)),
        }
    }
}

/// Splits ranges of exposed ports, which some builders write into images: `7000-7001/TCP` becomes `7000/tcp` and
/// `7001/tcp`. A text that is no port is kept as it is.
pub fn expand(exposed: &[String]) -> Vec<String> {
    let mut ports: Vec<String> = Vec::new();
    for text in exposed {
        let text = text.to_ascii_lowercase();
        let (run, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
        let each = match (run.parse::<HostPorts>(), Protocol::of(protocol)) {
            (Ok(HostPorts::Range(first @ 1.., last)), Some(protocol)) => {
                (first..=last).map(|port| format!("{port}/{protocol}")).collect()
            }
            _ => vec![text],
        };
        for port in each {
            if !ports.contains(&port) {
                ports.push(port);
            }
        }
    }
    ports
}

fn invalid(text: &str) -> Error {
    Error::Invalid(format!("invalid port specification: {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_ranges_are_read() {
        assert_eq!("53/udp".parse().ok(), Some(Port { protocol: Protocol::Udp, number: 53 }));
        assert!("0/tcp".parse::<Port>().is_err());
        assert!("80/icmp".parse::<Port>().is_err());
        assert_eq!("8000-8010".parse().ok(), Some(HostPorts::Range(8000, 8010)));
        assert_eq!("0".parse().ok(), Some(HostPorts::Any));
        assert!("9-8".parse::<HostPorts>().is_err());
    }

    #[test]
    fn runs_are_single_ports() {
        let exposed = ["80", "7000-7002/TCP", "7001/tcp", "53/udp", "9-8/tcp", "x/tcp"].map(str::to_owned);
        assert_eq!(
            expand(&exposed),
            ["80/tcp", "7000/tcp", "7001/tcp", "7002/tcp", "53/udp", "9-8/tcp", "x/tcp"]
        );
    }
}
