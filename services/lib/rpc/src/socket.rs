//! Unix sockets: listeners and connections.
//!
//! A socket's path may be longer than the 108 bytes of `sun_path` (deep test
//! roots are): then it is reached through its directory's descriptor,
//! `/proc/self/fd/N/name`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, sockopt};
use tokio::net::{UnixListener, UnixStream};

/// The longest path that fits into `sockaddr_un` with its terminator (unix(7)).
const SUN_PATH: usize = 107;

/// Listens on `path`, which is removed first when it is there: each service
/// holds the lock of its state directory, so nobody else can be listening.
///
/// # Errors
///
/// What bind(2) and listen(2) report.
pub fn bind(path: &Path, mode: u32) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let short = Short::of(path)?;
    let listener = UnixListener::bind(short.path())?;
    permit(path, mode)?;
    Ok(listener)
}

/// Sets who may connect to the socket at `path`.
///
/// # Errors
///
/// What chmod(2) reports.
pub fn permit(path: &Path, mode: u32) -> io::Result<()> {
    Ok(rustix::fs::chmod(path, Mode::from_raw_mode(mode))?)
}

/// The unix socket that the process was given as its standard input to listen on, as inetd(8) gives it; none where it has
/// another input.
///
/// # Errors
///
/// What fcntl(2) and epoll_ctl(2) report.
pub fn given() -> io::Result<Option<UnixListener>> {
    let stdin = io::stdin();
    let listens = sockopt::socket_acceptconn(&stdin).unwrap_or(false);
    if !listens || sockopt::socket_domain(&stdin)? != AddressFamily::UNIX {
        return Ok(None);
    }
    let listener = std::os::unix::net::UnixListener::from(stdin.as_fd().try_clone_to_owned()?);
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener).map(Some)
}

/// Connects to the unix socket at `path`.
///
/// # Errors
///
/// What connect(2) reports.
pub async fn connect(path: &Path) -> io::Result<UnixStream> {
    let short = Short::of(path)?;
    UnixStream::connect(short.path()).await
}

/// A path that fits into `sun_path`, and what keeps it valid.
enum Short<'a> {
    AsIs(&'a Path),
    ThroughDirectory { path: PathBuf, _directory: OwnedFd },
}

impl<'a> Short<'a> {
    fn of(path: &'a Path) -> io::Result<Self> {
        if path.as_os_str().len() <= SUN_PATH {
            return Ok(Self::AsIs(path));
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a socket's path has a directory and a name",
            ));
        };
        let directory =
            rustix::fs::open(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
        Ok(Self::ThroughDirectory { path, _directory: directory })
    }

    fn path(&self) -> &Path {
        match self {
            Self::AsIs(path) => path,
            Self::ThroughDirectory { path, .. } => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn long_paths_work() {
        let mut folder = std::env::temp_dir().join(format!("gantry-socket-{}", std::process::id()));
        let base = folder.clone();
        folder.push("x".repeat(120));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let path = folder.join("a.sock");
        let listener = bind(&path, 0o600).expect("bound");
        let client = connect(&path).await.expect("connected");
        let _server = listener.accept().await.expect("accepted");
        drop(client);
        std::fs::remove_dir_all(base).expect("removed");
    }
}
