//! systemd, as far as containers need it: scopes, which are cgroups that it keeps for processes it has not started
//! (systemd.scope(5), org.freedesktop.systemd1(5)).
//!
//! One connection, one call at a time, blocking: D-Bus on systemd's own socket, where root needs neither the bus nor
//! its daemon. Of D-Bus there is what these calls need, in [`message`].

mod message;
mod slice;

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use message::{Body, Kind, Message};
pub use slice::path as slice_path;

/// Where systemd listens for root.
const SOCKET: &str = "/run/systemd/private";
/// How long an answer, or the end of a job, may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// More than any answer to these calls has.
const LARGEST: usize = 1 << 20;

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong between us and systemd.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no talking to it.
    #[error("systemd: {op}")]
    Io {
        /// What was tried.
        op: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// It said no.
    #[error("systemd: {message}")]
    Refused {
        /// D-Bus' name of the error.
        name: String,
        /// Its words.
        message: String,
    },
    /// It began, and did not get there.
    #[error("systemd: {unit}: the job ended as {result}")]
    Job {
        /// The unit.
        unit: String,
        /// `failed`, `canceled`, `timeout`, …
        result: String,
    },
    /// It said something that is not D-Bus.
    #[error("systemd: malformed message")]
    Malformed,
}

impl Error {
    /// Whether there is a unit of this name already.
    pub fn is_unit_exists(&self) -> bool {
        matches!(self, Self::Refused { name, .. } if name == "org.freedesktop.systemd1.UnitExists")
    }

    /// Whether there is no unit of this name.
    pub fn is_no_such_unit(&self) -> bool {
        matches!(self, Self::Refused { name, .. } if name == "org.freedesktop.systemd1.NoSuchUnit")
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
    /// `t`; [`u64::MAX`] is no limit.
    Number(u64),
    /// `s`
    Text(String),
    /// `au`
    Pids(Vec<u32>),
    /// `ay`, as a set of processors is.
    Bytes(Vec<u8>),
}

/// A property and its name.
pub type Property = (&'static str, Value);

/// Whether systemd is this machine's init, as sd_booted(3) tells, and can be talked to from here.
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
        // The empty answer to its question who we are: it looks by itself.
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
        // Whoever connects so is told of the end of each job.
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

    /// Moves processes into a unit that runs.
    pub fn attach(&mut self, unit: &str, pids: &[u32]) -> Result<()> {
        let mut body = Body::default();
        body.text(unit).text("").numbers(pids);
        self.call("AttachProcessesToUnit", "ssau", body).map(drop)
    }

    /// Changes what a unit that runs may use, until it ends.
    pub fn set_properties(&mut self, unit: &str, properties: &[Property]) -> Result<()> {
        let mut body = Body::default();
        body.text(unit).bool(true).properties(properties);
        self.call("SetUnitProperties", "sba(sv)", body).map(drop)
    }

    /// Lets go of a unit that has failed.
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

    /// A line of the log-in; byte by byte, for what follows the last one is not ours yet.
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
