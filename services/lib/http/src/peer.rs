//! Who is at the other end of a connection.

mod subject;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use tokio::net::UnixStream;

/// The client of a connection, as far as it is proved. Every request has it among its extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A process of this machine, by the credentials that the kernel has of a unix socket (SO_PEERCRED, unix(7)): those
    /// at the time when it connected.
    Process {
        /// Its user.
        uid: u32,
        /// Its group.
        gid: u32,
        /// Its id; none where it is of another PID namespace.
        pid: Option<i32>,
    },
    /// Somebody with a certificate of an authority that the server trusts.
    Certificate {
        /// The subject's distinguished name (RFC 4514), as `CN=deploy,O=Example`.
        subject: String,
        /// Where it connected from.
        address: SocketAddr,
        /// What was shown, the client's own first (DER).
        chain: Arc<[Vec<u8>]>,
    },
    /// Whoever can send from this address: nothing is proved.
    Address(SocketAddr),
    /// Nobody that is known: the kernel does not tell.
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

    /// The holder of a certificate that was verified, if one was shown.
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
