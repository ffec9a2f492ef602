//! Unix sockets: listeners and connections.
//!
//! A socket's path may be longer than the 108 bytes of `sun_path`, for example in a deep test directory: it is then
//! reached through a descriptor of its directory, `/proc/self/fd/N/name`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use tokio::net::{UnixListener, UnixStream};

/// The longest path that fits into `sockaddr_un` with its final zero (unix(7)).
const SUN_PATH: usize = 107;

/// How many connections may wait to be accepted, as with tokio's own listeners.
const WAITING: i32 = 1024;

/// Listens on `path`. Removes an existing socket first: a service holds the lock of its state directory, so no other
/// process listens there.
///
/// # Errors
///
/// What bind(2) and listen(2) report.
pub fn bind(path: &Path, mode: u32) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = bound(path, mode)?;
    // The umask may have cleared bits of `mode`.
    permit(path, mode)?;
    rustix::net::listen(&socket, WAITING)?;
    UnixListener::from_std(socket.into())
}

/// Binds a socket to `path`, without listening.
///
/// The kernel makes the file with the socket's own mode, less the umask. The socket gets its mode first, so that the
/// file never has more permissions than `mode`, even in a process with umask 0.
fn bound(path: &Path, mode: u32) -> io::Result<OwnedFd> {
    let short = Short::of(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::fs::fchmod(&socket, Mode::from_raw_mode(mode))?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(short.path())?)?;
    Ok(socket)
}

/// Sets who may connect to the socket at `path`.
///
/// # Errors
///
/// What chmod(2) reports.
pub fn permit(path: &Path, mode: u32) -> io::Result<()> {
    Ok(rustix::fs::chmod(path, Mode::from_raw_mode(mode))?)
}

/// The unix socket on the standard input, as inetd(8) passes it; `None` when the standard input is anything else.
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

/// A path that fits into `sun_path`, and the descriptor that keeps it valid.
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
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_socket_never_has_more_permissions_than_it_was_to_have() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.sock");
        let _socket = bound(&path, 0o600).expect("bound");
        // No usual umask clears the owner's bits, and few clear everyone's read bit.
        let mode = std::fs::metadata(&path).expect("the socket").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "before anything else could be done with it");
    }

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
