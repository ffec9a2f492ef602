//! The caller of a request.
//!
//! A server learns which process each connection comes from (`SO_PEERCRED`, unix(7)), and takes that process for the
//! caller of its requests. Some processes act for others: the gateway for its HTTP clients, `control` for the clients
//! of the front socket. They name those in [`HEADER`], which a server accepts from a few users only
//! (`gantry_daemon`). A server attaches the caller to the request's span ([`attach`]), and every call that is made
//! under the span names the caller again ([`current`], used by [`Channel`](crate::Channel)).
//!
//! ```text
//! gantry-caller: uid=1000 gid=1000 pid=4711
//! gantry-caller: certificate=CN%3Dalice,O%3Dexample
//! gantry-caller: address=127.0.0.1:40312
//! ```

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use tokio::net::UnixStream;
use tonic::codegen::http::{HeaderMap, HeaderValue};
use tracing::Span;

use crate::carried;

/// The header, in gRPC metadata.
pub const HEADER: &str = "gantry-caller";

/// The caller of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Caller {
    /// A process of this host, as it was when it connected.
    Process {
        /// Its user.
        uid: u32,
        /// Its group.
        gid: u32,
        /// Its pid, which another process may have by now; 0 for a process of another PID namespace.
        pid: i32,
    },
    /// The holder of a client certificate's key.
    Certificate {
        /// The certificate's subject as text.
        subject: String,
    },
    /// A sender at this address, whose identity is not proved.
    Address(SocketAddr),
}

/// The text does not name a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a caller")]
pub struct Invalid;

impl Caller {
    /// The process at the other end of a unix socket; `None` when the system does not say.
    pub fn of_socket(socket: &UnixStream) -> Option<Self> {
        let peer = socket.peer_cred().ok()?;
        Some(Self::Process { uid: peer.uid(), gid: peer.gid(), pid: peer.pid().unwrap_or(0) })
    }

    /// The caller that a request's headers name.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        headers.get(HEADER)?.to_str().ok()?.parse().ok()
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { uid, gid, pid } => write!(f, "uid={uid} gid={gid} pid={pid}"),
            Self::Address(address) => write!(f, "address={address}"),
            Self::Certificate { subject } => {
                f.write_str("certificate=")?;
                for byte in subject.bytes() {
                    match byte {
                        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b',' | b'@' => {
                            write!(f, "{}", char::from(byte))?;
                        }
                        byte => write!(f, "%{byte:02X}")?,
                    }
                }
                Ok(())
            }
        }
    }
}

impl FromStr for Caller {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Some(subject) = text.strip_prefix("certificate=") {
            return Ok(Self::Certificate { subject: decoded(subject).ok_or(Invalid)? });
        }
        if let Some(address) = text.strip_prefix("address=") {
            return address.parse().map(Self::Address).map_err(|_| Invalid);
        }
        let mut words = text.split(' ');
        let mut value = |key| words.next().and_then(|word| word.strip_prefix(key)).ok_or(Invalid);
        let uid = value("uid=")?.parse().map_err(|_| Invalid)?;
        let gid = value("gid=")?.parse().map_err(|_| Invalid)?;
        let pid = value("pid=")?.parse().map_err(|_| Invalid)?;
        if words.next().is_some() { Err(Invalid) } else { Ok(Self::Process { uid, gid, pid }) }
    }
}

/// Decodes percent-encoding.
fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// Sets the caller for which `span`, and all spans below it, work.
pub fn attach(span: &Span, caller: Caller) {
    carried::attach(span, caller);
}

/// The caller for which the current span works.
pub fn current() -> Option<Caller> {
    carried::current()
}

/// Names the current caller in the headers of a call; without one, removes the header.
pub fn inject(headers: &mut HeaderMap) {
    name(headers, current().as_ref());
}

/// Names `caller` in the headers of a call; without one, removes the header.
pub fn name(headers: &mut HeaderMap, caller: Option<&Caller>) {
    match caller.map(|caller| HeaderValue::try_from(caller.to_string())) {
        Some(Ok(value)) => drop(headers.insert(HEADER, value)),
        // The text has only printable characters.
        Some(Err(_)) | None => drop(headers.remove(HEADER)),
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::Registry;

    use super::*;

    fn alice() -> Caller {
        Caller::Certificate { subject: "CN=alice, O=Beispiel & Söhne\n".to_owned() }
    }

    #[test]
    fn callers_round_trip() {
        for (caller, text) in [
            (Caller::Process { uid: 1000, gid: 100, pid: 4711 }, "uid=1000 gid=100 pid=4711"),
            (Caller::Address(([127, 0, 0, 1], 80).into()), "address=127.0.0.1:80"),
            (Caller::Address(([0; 8], 80).into()), "address=[::]:80"),
            (alice(), "certificate=CN%3Dalice,%20O%3DBeispiel%20%26%20S%C3%B6hne%0A"),
        ] {
            assert_eq!(caller.to_string(), text);
            assert_eq!(text.parse(), Ok(caller));
        }
        for text in [
            "",
            "uid=1",
            "uid=1 gid=1 pid=1 pid=2",
            "uid=-1 gid=1 pid=1",
            "certificate=%",
            "certificate=%ff",
            "address=x",
        ] {
            assert_eq!(text.parse::<Caller>(), Err(Invalid), "{text}");
        }
    }

    #[tokio::test]
    async fn a_socket_names_the_process_at_its_other_end() {
        let (one, _other) = UnixStream::pair().expect("a pair");
        let Some(Caller::Process { uid, pid, .. }) = Caller::of_socket(&one) else { panic!("no process") };
        assert_eq!(uid, rustix::process::getuid().as_raw());
        assert_eq!(pid, rustix::process::getpid().as_raw_pid());
    }

    #[test]
    fn calls_under_a_span_name_its_caller_and_no_other() {
        let _subscriber = tracing::subscriber::set_default(Registry::default());
        let mut headers = HeaderMap::new();
        name(&mut headers, Some(&Caller::Process { uid: 0, gid: 0, pid: 1 }));
        inject(&mut headers);
        assert_eq!(Caller::of(&headers), None, "nobody's call");
        let request = tracing::error_span!("request");
        attach(&request, alice());
        request.in_scope(|| tracing::error_span!("step").in_scope(|| inject(&mut headers)));
        assert_eq!(Caller::of(&headers), Some(alice()));
    }
}
