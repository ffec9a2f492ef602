//! Where Docker's clients connect: the addresses of the settings, sockets from systemd, or Docker's socket from the supervisor, which
//! keeps it open for the next gateway.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use gantry_daemon::BoxError;
use gantry_http::{Clients, Listener, Protocols, Tls};
use gantry_rpc::socket;

use crate::SOCKET;
use crate::config::Config;

/// All listeners. The gateway makes Docker's socket itself only if neither systemd nor the supervisor has passed one.
pub fn all(run: &Path, config: &Config) -> Result<Vec<Listener>, BoxError> {
    // HTTP/2 is not offered, because its connections cannot be hijacked.
    let tls = config.tls.as_ref().map(|settings| {
        Tls::open(&settings.cert, &settings.key, Clients::MustProve(&settings.ca), Protocols::Http1)
    });
    let tls = tls.transpose()?;
    let mut listeners = Vec::new();
    for listener in gantry_http::handed_over()? {
        listeners.push(secured(listener, tls.as_ref())?);
    }
    if !listeners.iter().any(|listener| matches!(listener, Listener::Unix(_))) {
        listeners.push(docker_socket(&run.join(SOCKET), config.socket_mode)?);
    }
    for address in &config.tcp {
        listeners.push(tcp(*address)?);
    }
    if let (Some(tls), Some(settings)) = (tls, &config.tls) {
        for address in &settings.listen {
            listeners.push(tcp(*address)?.with_tls(&tls));
        }
    }
    Ok(listeners)
}

/// A listener that was handed over, with TLS if it is TCP and must have it.
fn secured(listener: Listener, tls: Option<&Tls>) -> Result<Listener, BoxError> {
    match (listener.address(), tls) {
        (Some(_), Some(tls)) => Ok(listener.with_tls(tls)),
        (Some(address), None) if !address.ip().is_loopback() => Err(format!(
            "the socket at {address} that was handed over needs the settings under `tls`: \
             anyone who reaches it would be root"
        )
        .into()),
        _ => Ok(listener),
    }
}

fn docker_socket(path: &Path, mode: u32) -> io::Result<Listener> {
    match socket::given()? {
        Some(listener) => socket::permit(path, mode).map(|()| Listener::Unix(listener)),
        None => Listener::unix(path, mode),
    }
}

/// Listens on an address.
pub fn tcp(address: SocketAddr) -> io::Result<Listener> {
    Listener::tcp(address).map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::AddrInUse => ": end what listens there, or name another address in gateway.toml",
            io::ErrorKind::AddrNotAvailable => ": this machine has no such address",
            _ => "",
        };
        io::Error::new(error.kind(), format!("listen on {address}: {error}{remedy}"))
    })
}
