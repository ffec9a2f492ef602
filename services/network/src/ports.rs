//! The host's ports: which are allocated, and whether the kernel lets Gantry have them.
//!
//! A port is free when no container has it and a socket can be bound to it: the translation must not take packets
//! from another program's server. The socket is kept, so that no other program gets the port later. It never listens
//! and receives nothing: the kernel's rules answer, with or without this process.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, socket_with, sockopt};

use crate::error::{Error, Result};

pub use gantry_api::network::Protocol;

/// The acceptable ports.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The protocol.
    pub protocol: Protocol,
    /// The first and the last port; `None` for any ephemeral one.
    pub range: Option<(u16, u16)>,
}

/// A port of one host address, and the socket that keeps it.
#[derive(Debug)]
struct Taken {
    host: IpAddr,
    _socket: Held,
}

/// The socket that keeps a port; `None` where no socket is needed.
pub type Held = Option<OwnedFd>;

/// The allocated ports.
#[derive(Debug, Default)]
pub struct Ports {
    taken: HashMap<(Protocol, u16), Vec<Taken>>,
    /// Where the search for an ephemeral port goes on.
    next: u16,
}

impl Ports {
    /// Allocates a port on all these host addresses (one per family): the lowest acceptable one that is free on each.
    ///
    /// `hold` asks the kernel; see [`hold`].
    pub fn allocate(
        &mut self,
        wanted: Wanted,
        hosts: &[IpAddr],
        hold: impl Fn(Protocol, SocketAddr) -> Result<Held>,
    ) -> Result<u16> {
        let (first, last) = wanted.range.unwrap_or_else(ephemeral);
        let count = u32::from(last.saturating_sub(first)) + 1;
        let offset = match wanted.range {
            Some(_) => 0,
            None => u32::from(self.next.clamp(first, last) - first),
        };
        let mut refusal = None;
        for step in 0..count {
            let port = first + u16::try_from((offset + step) % count).expect("below the count of ports");
            match self.try_take(wanted.protocol, port, hosts, &hold) {
                Ok(()) => {
                    if wanted.range.is_none() {
                        self.next = if port == last { first } else { port + 1 };
                    }
                    return Ok(port);
                }
                // An address that the host does not have fails with every port.
                Err(error @ Error::HostAddress { .. }) => return Err(error),
                Err(error) => {
                    refusal.get_or_insert(error);
                }
            }
        }
        match refusal {
            Some(error) if count == 1 => Err(error),
            _ => {
                let host = hosts.first().copied().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
                Err(Error::PortsUsedUp { host, first, last })
            }
        }
    }

    fn try_take(
        &mut self,
        protocol: Protocol,
        port: u16,
        hosts: &[IpAddr],
        hold: &impl Fn(Protocol, SocketAddr) -> Result<Held>,
    ) -> Result<()> {
        for host in hosts {
            if self.clashes(protocol, port, *host) {
                return Err(Error::PortAllocated { host: *host, port });
            }
        }
        let take =
            |host: &IpAddr| Ok(Taken { host: *host, _socket: hold(protocol, SocketAddr::new(*host, port))? });
        let taken: Vec<Taken> = hosts.iter().map(take).collect::<Result<_>>()?;
        self.taken.entry((protocol, port)).or_default().extend(taken);
        Ok(())
    }

    /// Adds a port from a record, with the socket that keeps it, if the kernel gave one.
    pub fn restore(&mut self, protocol: Protocol, port: u16, host: IpAddr, socket: Held) {
        self.taken.entry((protocol, port)).or_default().push(Taken { host, _socket: socket });
    }

    /// Releases a port.
    pub fn give(&mut self, protocol: Protocol, port: u16, host: IpAddr) {
        if let Some(hosts) = self.taken.get_mut(&(protocol, port)) {
            if let Some(index) = hosts.iter().position(|taken| taken.host == host) {
                hosts.swap_remove(index);
            }
            if hosts.is_empty() {
                self.taken.remove(&(protocol, port));
            }
        }
    }

    /// A port on every address conflicts with the same port on any address of the family.
    fn clashes(&self, protocol: Protocol, port: u16, host: IpAddr) -> bool {
        let clash = |taken: &Taken| {
            let taken = taken.host;
            taken.is_ipv4() == host.is_ipv4()
                && (taken == host || taken.is_unspecified() || host.is_unspecified())
        };
        self.taken.get(&(protocol, port)).is_some_and(|hosts| hosts.iter().any(clash))
    }
}

/// `net.ipv4.ip_local_port_range`, from which Docker takes ephemeral ports too.
fn ephemeral() -> (u16, u16) {
    let read = || {
        let text = gantry_netlink::sysctl::read("net/ipv4/ip_local_port_range").ok()?;
        let mut parts = text.split_whitespace();
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    };
    match read() {
        Some((first, last)) if first > 0 && first <= last => (first, last),
        _ => (49153, 65535),
    }
}

/// Binds a socket to a port, so that no other program can.
pub fn hold(protocol: Protocol, at: SocketAddr) -> Result<Held> {
    let io =
        |source: rustix::io::Errno| Error::Io { op: format!("bind host port {at}"), source: source.into() };
    let family = if at.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let (kind, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        Protocol::Sctp => (SocketType::STREAM, ipproto::SCTP),
    };
    let attempt = |reuse: bool| {
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC, Some(number))?;
        if at.is_ipv6() {
            sockopt::set_ipv6_v6only(&socket, true)?;
        }
        if reuse {
            sockopt::set_socket_reuseaddr(&socket, true)?;
        }
        bind(&socket, &at).map(|()| socket)
    };
    let bound = match attempt(false) {
        // Connections in TIME_WAIT do not matter, servers do. Not set at the first attempt, because other sockets
        // could then share the port.
        Err(rustix::io::Errno::ADDRINUSE) if protocol == Protocol::Tcp => attempt(true),
        other => other,
    };
    match bound {
        Ok(socket) => Ok(Some(socket)),
        // The kernel has no SCTP or no IPv6: then no server can have the port either.
        Err(rustix::io::Errno::PROTONOSUPPORT | rustix::io::Errno::AFNOSUPPORT) => Ok(None),
        Err(rustix::io::Errno::ADDRINUSE) => {
            Err(Error::PortBusy { host: at.ip(), port: at.port(), protocol: protocol.name() })
        }
        Err(rustix::io::Errno::ADDRNOTAVAIL) => Err(Error::HostAddress { host: at.ip(), port: at.port() }),
        Err(errno) => Err(io(errno)),
    }
}

/// Every address of a family.
pub fn any(v6: bool) -> IpAddr {
    if v6 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(_: Protocol, _: SocketAddr) -> Result<Held> {
        Ok(None)
    }

    fn one(port: u16) -> Wanted {
        Wanted { protocol: Protocol::Tcp, range: Some((port, port)) }
    }

    #[test]
    fn all_addresses_clash_with_each_of_them() {
        let mut ports = Ports::default();
        let local: IpAddr = "127.0.0.1".parse().unwrap();
        let other: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(ports.allocate(one(80), &[local], free).unwrap(), 80);
        assert_eq!(ports.allocate(one(80), &[other], free).unwrap(), 80);
        let error = ports.allocate(one(80), &[any(false)], free).unwrap_err();
        assert_eq!(error.to_string(), "Bind for 0.0.0.0:80 failed: port is already allocated");
        assert_eq!(ports.allocate(one(80), &[any(true)], free).unwrap(), 80);
        let udp = Wanted { protocol: Protocol::Udp, range: Some((80, 80)) };
        assert_eq!(ports.allocate(udp, &[any(false)], free).unwrap(), 80);
        ports.give(Protocol::Tcp, 80, local);
        ports.give(Protocol::Tcp, 80, other);
        assert_eq!(ports.allocate(one(80), &[any(false)], free).unwrap(), 80);
    }

    #[test]
    fn ranges_give_the_first_that_is_free() {
        let mut ports = Ports::default();
        let range = Wanted { protocol: Protocol::Tcp, range: Some((8000, 8002)) };
        let busy = |protocol: Protocol, at: SocketAddr| match at.port() {
            8001 => Err(Error::PortBusy { host: at.ip(), port: 8001, protocol: protocol.name() }),
            _ => Ok(None),
        };
        assert_eq!(ports.allocate(range, &[any(false)], busy).unwrap(), 8000);
        assert_eq!(ports.allocate(range, &[any(false)], busy).unwrap(), 8002);
        assert!(matches!(ports.allocate(range, &[any(false)], busy), Err(Error::PortsUsedUp { .. })));
    }

    #[test]
    fn ephemeral_ports_go_round() {
        let mut ports = Ports::default();
        let any_port = Wanted { protocol: Protocol::Tcp, range: None };
        let first = ports.allocate(any_port, &[any(false), any(true)], free).unwrap();
        assert_eq!(ports.allocate(any_port, &[any(false)], free).unwrap(), first + 1);
    }

    #[test]
    fn a_listening_server_is_busy() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = server.local_addr().unwrap();
        assert!(matches!(hold(Protocol::Tcp, at), Err(Error::PortBusy { .. })));
        drop(server);
        let held = hold(Protocol::Tcp, at).unwrap();
        assert!(std::net::TcpListener::bind(at).is_err(), "what is held is nobody else's");
        drop(held);
        assert!(matches!(
            hold(Protocol::Udp, "203.0.113.9:99".parse().unwrap()),
            Err(Error::HostAddress { .. })
        ));
    }
}
