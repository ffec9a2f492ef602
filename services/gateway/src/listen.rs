//! Where clients connect: sockets of our own, those that systemd hands over (sd_listen_fds(3)), or Docker's socket from the
//! supervisor, which keeps it for the next gateway ([`socket::given`]).

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use gantry_daemon::{BoxError, Context};
use gantry_rpc::socket;
use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener};

use crate::SOCKET;
use crate::config::Config;
use crate::connection::Socket;
use crate::tls::Tls;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Where clients connect.
#[derive(Debug)]
pub enum Listener {
    /// A unix socket.
    Unix(UnixListener),
    /// A loopback address.
    Tcp(TcpListener),
    /// An address where clients prove who they are.
    Tls(TcpListener, Tls),
}

/// A client that has connected.
#[derive(Debug)]
pub(crate) enum Accepted {
    Plain(Socket),
    /// It has yet to prove who it is.
    Tls(TcpStream, Tls),
}

impl Listener {
    pub(crate) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Unix(listener) => {
                listener.accept().await.map(|(stream, _)| Accepted::Plain(Socket::Unix(stream)))
            }
            Self::Tcp(listener) => Ok(Accepted::Plain(Socket::Tcp(accept(listener).await?))),
            Self::Tls(listener, tls) => Ok(Accepted::Tls(accept(listener).await?, tls.clone())),
        }
    }
}

async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// All listeners that the settings and systemd ask for. Docker's socket is only made when none was handed over.
pub(crate) async fn all(context: &Context, config: &Config) -> Result<Vec<Listener>, BoxError> {
    let tls = config.tls.as_ref().map(Tls::open).transpose()?;
    let mut listeners = handed_over(tls.as_ref())?;
    if !listeners.iter().any(|listener| matches!(listener, Listener::Unix(_))) {
        listeners.push(Listener::Unix(docker_socket(&context.run().join(SOCKET), config.socket_mode)?));
    }
    for address in &config.tcp {
        listeners.push(Listener::Tcp(bind(*address)?));
    }
    if let (Some(tls), Some(settings)) = (tls, &config.tls) {
        for address in &settings.listen {
            listeners.push(Listener::Tls(bind(*address)?, tls.clone()));
        }
    }
    Ok(listeners)
}

fn docker_socket(path: &Path, mode: u32) -> io::Result<UnixListener> {
    match socket::given()? {
        Some(listener) => socket::permit(path, mode).map(|()| listener),
        None => socket::bind(path, mode),
    }
}

/// Listens on an address. Its connections ask silent clients whether they are still there (tcp(7)): the machine of one that
/// follows events may have gone without a word.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    listen(address).map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::AddrInUse => ": end what listens there, or name another address in gateway.toml",
            io::ErrorKind::AddrNotAvailable => ": this machine has no such address",
            _ => "",
        };
        io::Error::new(error.kind(), format!("listen on {address}: {error}{remedy}"))
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit it.
    socket.set_keepalive(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The sockets that were open when the process began.
fn handed_over(tls: Option<&Tls>) -> Result<Vec<Listener>, BoxError> {
    let mut sockets = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..sockets.len() {
        if let Ok(Some(listener)) = sockets.take_unix_listener(index) {
            listener.set_nonblocking(true)?;
            listeners.push(Listener::Unix(UnixListener::from_std(listener)?));
            continue;
        }
        let Some(listener) = sockets.take_tcp_listener(index)? else { continue };
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        listeners.push(match tls {
            Some(tls) => Listener::Tls(listener, tls.clone()),
            None if address.ip().is_loopback() => Listener::Tcp(listener),
            None => {
                return Err(format!(
                    "the socket at {address} that was handed over needs the settings under `tls`: \
                     anyone who reaches it would be root"
                )
                .into());
            }
        });
    }
    Ok(listeners)
}
