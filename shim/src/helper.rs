//! The shim's side of the runtime helper: a new, single-threaded process of this binary for each create, exec and
//! update.
//!
//! Runtime libraries fork without exec and change the working directory, so they never run in the shim itself. The
//! helper's stdio is the container's stdio.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;

use crate::control::{self, Order, Reply};
use crate::error::{Error, Result};
use crate::reaper::{Exit, Reaper};

/// The container's ends of its stdio; `None` is `/dev/null`.
#[derive(Default)]
pub struct ChildStdio {
    pub stdin: Option<OwnedFd>,
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
}

/// Starts helpers.
#[derive(Clone)]
pub struct Helpers {
    binary: PathBuf,
    reaper: Reaper,
}

/// A running helper.
pub struct Helper {
    control: AsyncFd<OwnedFd>,
    ended: oneshot::Receiver<Exit>,
}

impl Helpers {
    /// Starts helpers from `binary`, a protected copy of this program.
    pub fn new(binary: PathBuf, reaper: Reaper) -> Self {
        Self { binary, reaper }
    }

    /// Starts a helper for `verb`, with further `arguments` on its command line.
    pub fn start(&self, verb: &str, arguments: &[&str], stdio: ChildStdio) -> Result<Helper> {
        let failed = |errno: Errno| Error::Io {
            op: "start the runtime helper",
            path: self.binary.clone(),
            source: errno.into(),
        };
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(failed)?;
        // Only this child inherits the descriptor: the shim has one thread, and closes `theirs` below.
        fcntl_setfd(&theirs, FdFlags::empty()).map_err(failed)?;
        let child = Command::new(&self.binary)
            .arg("runtime")
            .arg(theirs.as_raw_fd().to_string())
            .arg(verb)
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(stdio.stdin.map_or_else(Stdio::null, Stdio::from))
            .stdout(stdio.stdout.map_or_else(Stdio::null, Stdio::from))
            .stderr(stdio.stderr.map_or_else(Stdio::null, Stdio::from))
            .spawn()
            .map_err(Error::io("start the runtime helper", &self.binary))?;
        drop(theirs);
        let ended = self.reaper.watch(child.id().cast_signed());
        let control = crate::async_fd::watch(ours).map_err(Error::io("watch", "control socket"))?;
        Ok(Helper { control, ended })
    }
}

impl Helper {
    /// Waits for the helper's next report. A reported failure becomes an error.
    pub async fn reply(&mut self) -> Result<(Reply, Option<OwnedFd>)> {
        loop {
            let mut ready = self.control.readable().await.map_err(Error::io("await", "control socket"))?;
            match control::receive::<Reply>(self.control.get_ref()) {
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(errno) => return Err(Error::errno("read", "control socket")(errno)),
                Ok(Some((Reply::Failed(failure), _))) => return Err(Error::Runtime(failure)),
                Ok(Some(report)) => return Ok(report),
                Ok(None) => {
                    let how = match (&mut self.ended).await {
                        Ok(exit) => format!("with status {}", exit.status),
                        Err(_) => "unexpectedly".to_string(),
                    };
                    return Err(Error::Runtime(format!("the runtime helper ended {how}").into()));
                }
            }
        }
    }

    /// Starts the program of a created container.
    pub fn order(&self, order: &Order) -> Result<()> {
        control::send(self.control.get_ref(), order, None).map_err(Error::errno("write", "control socket"))
    }

    /// Waits for the end of the helper process, which holds the container's stdio until then.
    pub async fn finish(self) {
        drop(self.control);
        let _ = self.ended.await;
    }
}

/// `/dev/null`, for stdio that the helper must not inherit.
pub fn dev_null() -> Result<OwnedFd> {
    File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map(OwnedFd::from)
        .map_err(Error::io("open", "/dev/null"))
}
