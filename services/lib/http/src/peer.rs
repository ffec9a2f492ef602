//! The identity of a client.

mod subject;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use tokio::net::UnixStream;

/// The client of a connection, as far as it is proved. It is in the extensions of every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A process of this host, by the credentials that the kernel recorded when the process connected to the unix
    /// socket (SO_PEERCRED, unix(7)).
    Process {
        /// Its user.
        uid: u32,
        /// Its group.
        gid: u32,
        /// Its pid; `None` in another PID namespace.
        pid: Option<i32>,
    },
    /// The holder of a certificate of an authority that the server trusts.
    Certificate {
        /// The subject's distinguished name (RFC 4514), as `CN=deploy,O=Example`.
        subject: String,
        /// The address that it connected from.
        address: SocketAddr,
        /// The certificates that it sent, its own first (DER).
        chain: Arc<[Vec<u8>]>,
    },
    /// A sender at this address, whose identity is not proved.
    Address(SocketAddr),
    /// Unknown: the kernel does not say.
    Unknown,
}

impl Peer {
    /// The process at the other end of a unix socket.
    pub(crate) fn of_process(stream: &UnixStream) -> Self {
        match stream.peer_cred() {
            Ok(peer) => Self::Process { uid: peer.uid(), gid: peer.gid(), pid: peer.pid() },
            Err(error) => {
                tracing::debug!(%error, "a client's credentials were not told");
                Self::Unknown
            }
        }
    }

    /// The holder of a verified certificate, if the client sent one.
    pub(crate) fn of_certificate(address: SocketAddr, shown: Option<&[CertificateDer<'_>]>) -> Self {
        let subject = shown.and_then(<[_]>::first).and_then(|certificate| subject::of(certificate));
        match subject {
            Some(subject) => {
                let chain = shown.into_iter().flatten().map(|certificate| certificate.to_vec()).collect();
                Self::Certificate { subject, address, chain }
            }
            None => Self::Address(address),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { uid, pid: Some(pid), .. } => write!(f, "process {pid} of user {uid}"),
            Self::Process { uid, pid: None, .. } => write!(f, "a process of user {uid}"),
            Self::Certificate { subject, address, .. } => write!(f, "{subject} at {address}"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}
