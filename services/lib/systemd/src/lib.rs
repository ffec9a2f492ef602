//! A client of systemd for scopes, which are cgroups that systemd manages for processes that it has not started
//! (systemd.scope(5), org.freedesktop.systemd1(5)).
//!
//! It uses one connection, makes one call at a time, and blocks. It speaks D-Bus on systemd's own socket, where root
//! needs neither the bus nor its daemon. [`message`] has the part of D-Bus that these calls need.

mod message;
mod slice;

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use message::{Body, Kind, Message};
pub use slice::path as slice_path;

/// systemd's socket for root.
const SOCKET: &str = "/run/systemd/private";
/// How long a reply, or the end of a job, may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest message in bytes, more than any reply to these calls has.
const LARGEST: usize = 1 << 20;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of systemd or of the connection to it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection failed.
    #[error("systemd: {op}")]
    Io {
        /// The operation.
        op: &'static str,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// systemd returned an error.
    #[error("systemd: {message}")]
    Refused {
        /// The D-Bus name of the error.
        name: String,
        /// The message.
        message: String,
    },
    /// A job failed.
    #[error("systemd: {unit}: the job ended as {result}")]
    Job {
        /// The unit.
        unit: String,
        /// `failed`, `canceled`, `timeout`, …
        result: String,
    },
    /// A message does not parse as D-Bus.
    #[error("systemd: malformed message")]
    Malformed,
}

impl Error {
    /// Whether a unit of the name exists.
    pub fn is_unit_exists(&self) -> bool {
        matches!(self, Self::Refused { name, .. } if name == "org.freedesktop.systemd1.UnitExists")
    }

    /// Whether no unit of the name exists.
    pub fn is_no_such_unit(&self) -> bool {
        matches!(self, Self::Refused { name, .. } if name == "org.freedesktop.systemd1.NoSuchUnit")
    }

    /// Whether the unit does not run: it has not begun yet, or has ended. systemd has no name of its own for this.
    pub fn is_unit_inactive(&self) -> bool {
        matches!(self, Self::Refused { message, .. } if message.starts_with("Unit is not active"))
    }

    fn io(op: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { op, source }
    }
}

/// The value of a unit's property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `b`
    Bool(bool),
    /// `t`; [`u64::MAX`] means no limit.
    Number(u64),
    /// `s`
    Text(String),
    /// `au`
    Pids(Vec<u32>),
    /// `ay`, such as a set of processors.
    Bytes(Vec<u8>),
}

/// A property's name and value.
pub type Property = (&'static str, Value);

/// Whether systemd is the init of this host, as in sd_booted(3), and its socket is accessible.
pub fn is_running() -> bool {
    Path::new("/run/systemd/system").is_dir() && Path::new(SOCKET).exists()
}

/// A connection.
#[derive(Debug)]
pub struct Systemd {
    stream: UnixStream,
    serial: u32,
}

impl Systemd {
    /// Connects; needs root.
    pub fn connect() -> Result<Self> {
        Self::connect_to(Path::new(SOCKET))
    }

    fn connect_to(path: &Path) -> Result<Self> {
        let stream = UnixStream::connect(path).map_err(Error::io("connect"))?;
        stream
            .set_read_timeout(Some(PATIENCE))
            .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
            .map_err(Error::io("connect"))?;
        let mut connected = Self { stream, serial: 0 };
        // The empty answer to the question for an identity: systemd reads the credentials of the socket.
        connected.stream.write_all(b"\0AUTH EXTERNAL\r\nDATA\r\n").map_err(Error::io("log in"))?;
        while !connected.line()?.starts_with("OK ") {}
        connected.stream.write_all(b"BEGIN\r\n").map_err(Error::io("log in"))?;
        Ok(connected)
    }

    /// Starts a scope and waits until its processes are in it.
    pub fn start_scope(&mut self, unit: &str, properties: &[Property]) -> Result<()> {
        let mut body = Body::default();
        body.text(unit).text("fail").properties(properties).empty_units();
        let reply = self.call("StartTransientUnit", "ssa(sv)a(sa(sv))", body)?;
        let job = reply.strings("o").into_iter().next().ok_or(Error::Malformed)?;
        // A connection to this socket gets the signal of every job's end.
        loop {
            let message = self.receive()?;
            if message.kind != Kind::Signal || message.member != "JobRemoved" {
                continue;
            }
            let said = message.strings("uoss");
            let [path, unit, result] = &said[..] else { return Err(Error::Malformed) };
            if *path == job {
                return match result.as_str() {
                    "done" => Ok(()),
                    _ => Err(Error::Job { unit: unit.clone(), result: result.clone() }),
                };
            }
        }
    }

    /// Moves processes to a running unit.
    pub fn attach(&mut self, unit: &str, pids: &[u32]) -> Result<()> {
        let mut body = Body::default();
        body.text(unit).text("").numbers(pids);
        self.call("AttachProcessesToUnit", "ssau", body).map(drop)
    }

    /// Sets properties of a running unit, until its end.
    pub fn set_properties(&mut self, unit: &str, properties: &[Property]) -> Result<()> {
        let mut body = Body::default();
        body.text(unit).bool(true).properties(properties);
        self.call("SetUnitProperties", "sba(sv)", body).map(drop)
    }

    /// Releases a failed unit.
    pub fn reset_failed(&mut self, unit: &str) -> Result<()> {
        let mut body = Body::default();
        body.text(unit);
        self.call("ResetFailedUnit", "s", body).map(drop)
    }

    fn call(&mut self, member: &str, signature: &str, body: Body) -> Result<Message> {
        self.serial += 1;
        let bytes = message::call(self.serial, member, signature, &body);
        self.stream.write_all(&bytes).map_err(Error::io("send"))?;
        loop {
            let message = self.receive()?;
            if message.reply_to != Some(self.serial) {
                continue;
            }
            return match message.kind {
                Kind::Error => Err(Error::Refused {
                    message: message.strings("s").into_iter().next().unwrap_or_default(),
                    name: message.error,
                }),
                _ => Ok(message),
            };
        }
    }

    fn receive(&mut self) -> Result<Message> {
        let mut bytes = vec![0; message::FIXED];
        self.stream.read_exact(&mut bytes).map_err(Error::io("receive"))?;
        let rest = message::rest(&bytes).filter(|rest| *rest <= LARGEST).ok_or(Error::Malformed)?;
        bytes.resize(message::FIXED + rest, 0);
        self.stream.read_exact(&mut bytes[message::FIXED..]).map_err(Error::io("receive"))?;
        Message::parse(&bytes).ok_or(Error::Malformed)
    }

    /// Reads a line of the authentication byte by byte: the bytes after the last line are messages.
    fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        loop {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).map_err(Error::io("log in"))?;
            match byte[0] {
                b'\n' => break,
                other => line.push(other),
            }
            if line.len() > 1000 {
                return Err(Error::Malformed);
            }
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        match line.starts_with("REJECTED") || line.starts_with("ERROR") {
            true => Err(Error::Refused { name: "log in".to_owned(), message: line }),
            false => Ok(line),
        }
    }
}

#[cfg(test)]
mod tests;
