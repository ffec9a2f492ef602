//! The servers that queries are forwarded to: the host's, or those that a netns names.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_netlink::Namespace;
use gantry_rpc::carry;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::sync::Semaphore;

use super::answer::Transport;
use super::zone::Forwarding;

/// How long one server may take.
const PATIENCE: Duration = Duration::from_secs(4);
/// How many servers are asked, as in resolv.conf(5).
const SERVERS: usize = 3;
/// How many queries may be forwarded at a time; more are refused.
const OUT: usize = 1024;
/// How long the host's resolv.conf is cached.
const FRESH: Duration = Duration::from_secs(2);
/// SERVFAIL and REFUSED: this server cannot answer, another one may.
const EVASIONS: [u8; 2] = [2, 5];
/// The servers to ask when the host names none that can be asked.
const FALLBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)), IpAddr::V4(Ipv4Addr::new(8, 8, 4, 4))];

/// Forwards queries.
#[derive(Debug)]
pub struct Upstream {
    out: Arc<Semaphore>,
    host: Mutex<Option<(Instant, Vec<IpAddr>)>>,
}

impl Default for Upstream {
    fn default() -> Self {
        Upstream { out: Arc::new(Semaphore::new(OUT)), host: Mutex::new(None) }
    }
}

impl Upstream {
    /// Asks one server after the other. Returns the first reply that answers the query, else the last reply; `None`
    /// when no server replies.
    pub async fn ask(
        &self,
        query: &[u8],
        transport: Transport,
        forwarding: &Forwarding,
        namespace: &Namespace,
    ) -> Option<Vec<u8>> {
        let _permit = self.out.clone().try_acquire_owned().ok()?;
        let (servers, inside) = match forwarding {
            Forwarding::Nowhere => return None,
            Forwarding::Host => (self.host_servers(), false),
            Forwarding::To(servers) => (servers.clone(), true),
        };
        let mut evasion = None;
        for server in servers.into_iter().take(SERVERS) {
            // A loopback server is the host's, even when a netns names it.
            let from = (inside && !server.is_loopback()).then_some(namespace);
            let at = SocketAddr::new(server, 53);
            let exchange = async {
                match transport {
                    Transport::Udp => udp(query, at, from).await,
                    Transport::Tcp => tcp(query, at, from).await,
                }
            };
            match tokio::time::timeout(PATIENCE, exchange).await {
                Ok(Ok(reply)) if !evades(&reply) => return Some(reply),
                Ok(Ok(reply)) => evasion = Some(reply),
                Ok(Err(error)) => tracing::debug!(%server, %error, "name server cannot be asked"),
                Err(_) => tracing::debug!(%server, "name server does not reply"),
            }
        }
        evasion
    }

    fn host_servers(&self) -> Vec<IpAddr> {
        let mut known = self.host.lock();
        if let Some((when, servers)) = known.as_ref()
            && when.elapsed() < FRESH
        {
            return servers.clone();
        }
        let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let mut servers = parse(&text);
        if servers.is_empty() {
            servers.extend(FALLBACK);
        }
        *known = Some((Instant::now(), servers.clone()));
        servers
    }
}

/// Whether a reply only says that its server cannot answer.
fn evades(reply: &[u8]) -> bool {
    reply.get(3).is_none_or(|flags| EVASIONS.contains(&(flags & 0x0f)))
}

/// The `nameserver` lines of a resolv.conf(5).
fn parse(text: &str) -> Vec<IpAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and_then(|_| words.next())?;
        // A link-local server's zone names an interface, which does not help here.
        address.split('%').next()?.parse().ok()
    };
    text.lines().filter_map(server).collect()
}

async fn udp(query: &[u8], at: SocketAddr, from: Option<&Namespace>) -> io::Result<Vec<u8>> {
    let socket = match from {
        None => UdpSocket::bind(any(at)).await?,
        Some(namespace) => {
            let namespace = namespace.clone();
            let bind = move || namespace.run(|| std::net::UdpSocket::bind(any(at)));
            let bound = carry::blocking(bind).await.ok_or(io::ErrorKind::Interrupted)?;
            let socket = bound.map_err(io::Error::other)??;
            socket.set_nonblocking(true)?;
            UdpSocket::from_std(socket)?
        }
    };
    socket.connect(at).await?;
    socket.send(query).await?;
    let mut buffer = vec![0; 65535];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // A late reply to an earlier query has another id.
        if length >= 12 && buffer[..2] == query[..2] {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

async fn tcp(query: &[u8], at: SocketAddr, from: Option<&Namespace>) -> io::Result<Vec<u8>> {
    let open = move || if at.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = match from {
        None => open()?,
        Some(namespace) => {
            let namespace = namespace.clone();
            let opened =
                carry::blocking(move || namespace.run(open)).await.ok_or(io::ErrorKind::Interrupted)?;
            opened.map_err(io::Error::other)??
        }
    };
    // Connected asynchronously: a server that does not reply must not hold one of the few blocking threads.
    let mut stream = socket.connect(at).await?;
    write_framed(&mut stream, query).await?;
    read_framed(&mut stream).await
}

fn any(at: SocketAddr) -> SocketAddr {
    match at {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// Writes a message after its length.
pub async fn write_framed(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    let mut framed = Vec::with_capacity(message.len() + 2);
    framed.extend(length.to_be_bytes());
    framed.extend(message);
    stream.write_all(&framed).await
}

/// Reads a message after its length.
pub async fn read_framed(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_server_lines_count() {
        let text = "# nameserver 1.1.1.1\nsearch example.com\nnameserver 192.0.2.1\n nameserver fe80::1%eth0 \noptions ndots:2\n";
        let servers: Vec<IpAddr> = vec!["192.0.2.1".parse().unwrap(), "fe80::1".parse().unwrap()];
        assert_eq!(parse(text), servers);
    }
}
