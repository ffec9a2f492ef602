//! The destination of one stream of a process.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

use super::json_log::JsonLog;
use crate::error::{Error, Result};

/// The destination of one stream, besides attached clients.
pub enum Sink {
    Nowhere,
    /// A FIFO or pipe, whose reader may make the process wait.
    Writer(AsyncFd<OwnedFd>),
    File(File),
    Log(JsonLog),
}

impl Sink {
    /// A client's FIFO. Opened for reading and writing: a reader that closes it is no error but a pause, as with
    /// containerd's shim.
    pub fn fifo(path: &Path) -> Result<Self> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::open(path, flags, Mode::empty()).map_err(Error::errno("open", path))?;
        super::watched(opened).map(Self::Writer)
    }

    /// A file to append to; makes its directories.
    pub fn file(path: &Path) -> Result<Self> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        }
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .map(Self::File)
            .map_err(Error::io("open", path))
    }

    /// The writing end of a pipe.
    pub fn writer(descriptor: OwnedFd) -> Result<Self> {
        super::watched(descriptor).map(Self::Writer)
    }

    /// Writes `bytes`. Returns those that a pipe has no room for.
    pub fn write<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Nowhere => &[],
            // What a full disk does not take is lost; the process goes on.
            Self::File(file) => {
                let _ = file.write_all(bytes);
                &[]
            }
            Self::Log(log) => {
                log.write(bytes);
                &[]
            }
            Self::Writer(writer) => match rustix::io::write(writer.get_ref(), bytes) {
                Ok(written) => &bytes[written..],
                Err(Errno::AGAIN | Errno::INTR) => bytes,
                Err(_) => {
                    *self = Self::Nowhere;
                    &[]
                }
            },
        }
    }

    /// Waits until a pipe may have room again.
    pub async fn writable(&self) {
        if let Self::Writer(writer) = self
            && let Ok(mut ready) = writer.writable().await
        {
            ready.clear_ready();
        }
    }

    /// Ends the stream.
    pub fn end(&mut self) {
        if let Self::Log(log) = self {
            log.end();
        }
    }
}
