//! Listeners: sockets opened here, those passed by systemd (sd_listen_fds(3)), and a unix socket on the standard
//! input ([`socket::given`]).

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use gantry_rpc::socket;
use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener};

use crate::peer::Peer;
use crate::socket::Socket;
use crate::tls::Tls;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// A listener.
#[derive(Debug)]
pub enum Listener {
    /// A unix socket.
    Unix(UnixListener),
    /// A TCP address.
    Tcp(TcpListener),
    /// A TCP address with TLS.
    Tls(TcpListener, Tls),
}

/// An accepted connection.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// Its first bytes are HTTP.
    Plain(Socket, Peer),
    /// A TLS handshake comes first.
    Tls(TcpStream, SocketAddr, Tls),
}

impl Listener {
    /// Listens on the unix socket at `path` with these permissions. Removes an existing socket first.
    ///
    /// # Errors
    ///
    /// What bind(2) and listen(2) report.
    pub fn unix(path: &Path, mode: u32) -> io::Result<Self> {
        socket::bind(path, mode).map(Self::Unix)
    }

    /// Listens on a TCP address, with keep-alive on its connections (tcp(7)): a host with a waiting client may have
    /// gone silently.
    ///
    /// # Errors
    ///
    /// What bind(2) and listen(2) report.
    pub fn tcp(address: SocketAddr) -> io::Result<Self> {
        listen(address).map(Self::Tcp)
    }

    /// The same listener with TLS. A unix socket has none: the kernel identifies its clients.
    #[must_use]
    pub fn with_tls(self, tls: &Tls) -> Self {
        match self {
            Self::Tcp(listener) | Self::Tls(listener, _) => Self::Tls(listener, tls.clone()),
            unix @ Self::Unix(_) => unix,
        }
    }

    /// The address of a TCP listener.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Unix(_) => None,
            Self::Tcp(listener) | Self::Tls(listener, _) => listener.local_addr().ok(),
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Unix(listener) => listener.accept().await.map(|(stream, _)| {
                let peer = Peer::of_process(&stream);
                Accepted::Plain(Socket::Unix(stream), peer)
            }),
            Self::Tcp(listener) => {
                let (stream, address) = accept(listener).await?;
                Ok(Accepted::Plain(Socket::Tcp(stream), Peer::Address(address)))
            }
            Self::Tls(listener, tls) => {
                let (stream, address) = accept(listener).await?;
                Ok(Accepted::Tls(stream, address, tls.clone()))
            }
        }
    }
}

async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, address) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, address))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit the option.
    socket.set_keepalive(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The sockets that systemd passed to the process, unix and TCP. Returns them once.
///
/// # Errors
///
/// A socket of another type; what fcntl(2) and epoll_ctl(2) report.
pub fn handed_over() -> io::Result<Vec<Listener>> {
    let mut sockets = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..sockets.len() {
        if let Ok(Some(listener)) = sockets.take_unix_listener(index) {
            listener.set_nonblocking(true)?;
            listeners.push(Listener::Unix(UnixListener::from_std(listener)?));
        } else if let Some(listener) = sockets.take_tcp_listener(index)? {
            listener.set_nonblocking(true)?;
            listeners.push(Listener::Tcp(TcpListener::from_std(listener)?));
        }
    }
    Ok(listeners)
}
