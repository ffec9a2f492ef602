//! Keeps a socket that outlives its service: Docker's, which the gateway serves.
//!
//! A container that has `docker.sock` mounted has the socket itself, not its name: a new socket at the same path is another one, and the
//! mounted one would be dead for the rest of the container's life. So the supervisor makes the socket, listens, and gives it to each
//! gateway that it starts as standard input, as inetd(8) does. A client that connects while there is no gateway waits for the
//! next one.
//!
//! A supervisor that takes over from a killed one takes the socket out of the gateway that is left
//! (pidfd_getfd(2)) before it ends that gateway. After `gantry down` no process holds the socket.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};
use gantry_daemon::Roots;
use gantry_rpc::socket;
use rustix::net::sockopt::{socket_acceptconn, socket_peercred};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::process;

/// The socket's mode until the service sets the mode of its settings.
const MODE: u32 = 0o600;
/// The file descriptor of the socket in the service.
const STDIN: i32 = 0;

/// The socket, listening.
pub struct Door {
    path: PathBuf,
    listener: OwnedFd,
    /// The path by which clients find it.
    file: File,
}

/// Identifies a file: device and inode.
type File = (u64, u64);

impl Door {
    /// The socket `name` of a service: the one of a service that is left, or a new one.
    pub async fn open(roots: &Roots, service: &str, name: &str) -> Result<Self> {
        let path = roots.run.join(name);
        let left = process::serving(&roots.socket(service)).await.ok().flatten();
        if let Some(service) = left
            && let Some(listener) = take(service)
            && leads_to(&path, &listener).await
        {
            let file = file(&path).with_context(|| format!("look at {}", path.display()))?;
            return Ok(Self { path, listener, file });
        }
        Self::make(path)
    }

    fn make(path: PathBuf) -> Result<Self> {
        let make = || {
            let listener = socket::bind(&path, MODE)?.into_std()?;
            Ok::<_, std::io::Error>((listener, file(&path)?))
        };
        let (listener, file) = make().with_context(|| format!("listen on {}", path.display()))?;
        Ok(Self { listener: listener.into(), file, path })
    }

    /// The standard input for its service. If the socket's file has been removed or replaced, this makes a new
    /// socket.
    pub fn stdin(&mut self) -> Result<Stdio> {
        if file(&self.path).ok() != Some(self.file) {
            *self = Self::make(self.path.clone())?;
        }
        Ok(self.listener.try_clone().with_context(|| format!("share {}", self.path.display()))?.into())
    }
}

fn file(path: &Path) -> std::io::Result<File> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// A process's standard input, if it is a socket that listens.
fn take(process: Pid) -> Option<OwnedFd> {
    let pidfd = pidfd_open(process, PidfdFlags::empty()).ok()?;
    let stdin = pidfd_getfd(pidfd, STDIN, PidfdGetfdFlags::empty()).ok()?;
    socket_acceptconn(&stdin).ok().filter(|listens| *listens).map(|_| stdin)
}

/// Whether a connection to a path reaches a listener: both name the process that called listen(2) (SO_PEERCRED, unix(7)).
async fn leads_to(path: &Path, listener: &impl AsFd) -> bool {
    let Ok(client) = socket::connect(path).await else { return false };
    let listens = |socket: std::os::fd::BorrowedFd<'_>| socket_peercred(socket).ok().map(|by| by.pid);
    let found = listens(client.as_fd());
    found.is_some() && found == listens(listener.as_fd())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::process::Command;

    use super::*;

    const NAME: &str = "docker.sock";

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("gantry-door-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    #[tokio::test]
    async fn a_listening_socket_is_taken_out_of_the_process_that_has_it() {
        let folder = folder("taken");
        let path = folder.join(NAME);
        let mut door = Door::make(path.clone()).expect("made");
        let mut keeper =
            Command::new("sleep").arg("60").stdin(door.stdin().expect("shared")).spawn().expect("sleep");
        drop(door);
        let taken = take(Pid::from_child(&keeper)).expect("taken");
        assert!(leads_to(&path, &taken).await);
        keeper.kill().expect("it runs");
        keeper.wait().expect("it ends");
        UnixStream::connect(&path).expect("it listens still");
        let other = folder.join("other.sock");
        drop(UnixListener::bind(&other));
        assert!(!leads_to(&other, &taken).await, "nobody listens there");
        fs::remove_dir_all(folder).expect("removed");
    }

    #[tokio::test]
    async fn a_process_without_such_an_input_has_nothing_to_take() {
        let mut other = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().expect("sleep");
        assert!(take(Pid::from_child(&other)).is_none());
        other.kill().expect("it runs");
        other.wait().expect("it ends");
    }

    #[tokio::test]
    async fn a_socket_whose_file_is_gone_is_made_anew() {
        let folder = folder("anew");
        let path = folder.join(NAME);
        let mut door = Door::make(path.clone()).expect("made");
        let first = door.file;
        door.stdin().expect("shared");
        assert_eq!(door.file, first);
        fs::rename(&path, folder.join("away")).expect("moved");
        door.stdin().expect("made anew");
        UnixStream::connect(&path).expect("it listens");
        fs::remove_dir_all(folder).expect("removed");
    }
}
