//! A connection to a receiver.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::FutureExt;
use gantry_rpc::carry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, UnixDatagram, UnixStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::tls::{self, Certificates};

/// Time limit for connecting, and for a receiver that reads or answers nothing.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Sockets at which a machine's own syslog may listen.
const LOCAL: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// The address of a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Udp(String),
    Tcp(String),
    /// TLS over TCP; the certificate must match the host.
    Tls(String, Certificates),
    /// A Unix socket, stream or datagram.
    Unix(PathBuf),
    /// A Unix datagram socket.
    UnixDatagrams(PathBuf),
    /// The machine's own syslog, at whichever of its sockets exists.
    Local,
}

/// A connection.
#[derive(Debug)]
pub enum Receiver {
    /// A UDP socket. A datagram that nothing receives is lost without an error.
    Udp(UdpSocket),
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Datagrams(UnixDatagram),
    Unix(UnixStream),
}

impl Receiver {
    /// Connects. Host names are resolved for each connection.
    ///
    /// # Errors
    ///
    /// Docker's words: `dial tcp 127.0.0.1:1: connect: connection refused`.
    pub async fn connect(address: &Address) -> Result<Receiver, String> {
        let failed = |network: &str, place: &str, error: &io::Error| {
            format!("dial {network} {place}: connect: {}", crate::archive::words(error))
        };
        match address {
            Address::Udp(host) => {
                let connected = async {
                    let to = resolved(host).await?;
                    let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                    let socket = UdpSocket::bind(from).await?;
                    socket.connect(to).await.map(|()| socket)
                };
                connected.await.map(Receiver::Udp).map_err(|error| failed("udp", host, &error))
            }
            Address::Tcp(host) => {
                let connected = async {
                    let to = resolved(host).await?;
                    TcpStream::connect(to).await
                };
                let connected = timeout(PATIENCE, connected).await.unwrap_or_else(|_| Err(silent()));
                connected.map(Receiver::Tcp).map_err(|error| failed("tcp", host, &error))
            }
            Address::Tls(host, certificates) => {
                let certificates = certificates.clone();
                let reading = carry::blocking(move || certificates.connector());
                let connector = reading.await.ok_or("the service is ending")??;
                let connected = async {
                    let to = resolved(host).await?;
                    let stream = TcpStream::connect(to).await?;
                    Ok::<_, io::Error>(tls::secured(&connector, stream, host).await)
                };
                match timeout(PATIENCE, connected).await.unwrap_or_else(|_| Err(silent())) {
                    Ok(Ok(stream)) => Ok(Receiver::Tls(Box::new(stream))),
                    Ok(Err(error)) => Err(format!("tls: {error}")),
                    Err(error) => Err(failed("tcp", host, &error)),
                }
            }
            Address::UnixDatagrams(path) => {
                datagrams(path).map_err(|error| failed("unixgram", &path.display().to_string(), &error))
            }
            Address::Unix(path) => match UnixStream::connect(path).await {
                Ok(stream) => Ok(Receiver::Unix(stream)),
                Err(error) => Err(failed("unix", &path.display().to_string(), &error)),
            },
            Address::Local => {
                for path in LOCAL.map(Path::new) {
                    if let Ok(receiver) = datagrams(path) {
                        return Ok(receiver);
                    }
                    if let Ok(stream) = UnixStream::connect(path).await {
                        return Ok(Receiver::Unix(stream));
                    }
                }
                Err("Unix syslog delivery error".to_owned())
            }
        }
    }

    /// Sends one message, which the receiver must take `within` this time.
    pub async fn send(&mut self, bytes: &[u8], within: Duration) -> io::Result<()> {
        let sent = async {
            match self {
                // The error is of an earlier datagram that was refused; send this one again.
                Receiver::Udp(socket) => match socket.send(bytes).await {
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                        socket.send(bytes).await.or(Ok(0)).map(drop)
                    }
                    sent => sent.map(drop),
                },
                Receiver::Datagrams(socket) => socket.send(bytes).await.map(drop),
                Receiver::Tcp(stream) => {
                    is_open(stream.try_read(&mut [0; 1]))?;
                    stream.write_all(bytes).await
                }
                Receiver::Tls(stream) => {
                    let mut byte = [0; 1];
                    let nothing = || Err(io::ErrorKind::WouldBlock.into());
                    is_open(stream.read(&mut byte).now_or_never().unwrap_or_else(nothing))?;
                    stream.write_all(bytes).await?;
                    stream.flush().await
                }
                Receiver::Unix(stream) => {
                    is_open(stream.try_read(&mut [0; 1]))?;
                    stream.write_all(bytes).await
                }
            }
        };
        timeout(within, sent).await.unwrap_or_else(|_| Err(silent()))
    }

    /// Reads the answer that the receiver must send.
    pub async fn expect(&mut self, answer: &[u8]) -> io::Result<()> {
        let mut got = vec![0; answer.len()];
        let reading = async {
            match self {
                Receiver::Tcp(stream) => stream.read_exact(&mut got).await.map(drop),
                Receiver::Tls(stream) => stream.read_exact(&mut got).await.map(drop),
                Receiver::Unix(stream) => stream.read_exact(&mut got).await.map(drop),
                Receiver::Udp(_) | Receiver::Datagrams(_) => Ok(()),
            }
        };
        timeout(PATIENCE, reading).await.unwrap_or_else(|_| Err(silent()))?;
        match got == answer {
            true => Ok(()),
            false => Err(io::Error::new(io::ErrorKind::InvalidData, "another message was acknowledged")),
        }
    }
}

/// Whether the receiver has closed the connection; a write would still succeed then and be lost.
fn is_open(read: io::Result<usize>) -> io::Result<()> {
    match read {
        Ok(0) => Err(io::ErrorKind::BrokenPipe.into()),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}

fn datagrams(path: &Path) -> io::Result<Receiver> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    Ok(Receiver::Datagrams(socket))
}

async fn resolved(host: &str) -> io::Result<std::net::SocketAddr> {
    let all: Vec<_> = lookup_host(host).await?.collect();
    let found = all.iter().find(|address| address.is_ipv4()).or(all.first());
    found.copied().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such host"))
}

fn silent() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "i/o timeout")
}
