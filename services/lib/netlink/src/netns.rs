//! Network namespaces: made and entered on threads of their own, pinned by a bind mount.
//!
//! A thread that has changed its namespace runs one closure and ends. So no other code of the process ever runs in
//! the wrong namespace.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use crate::error::{Error, Result};

/// `statfs.f_type` of the file system of namespaces' files.
const NSFS_MAGIC: i64 = 0x6e73_6673;

/// A handle of a network namespace, which lives at least as long as the handle.
#[derive(Clone, Debug)]
pub struct Namespace {
    fd: Arc<OwnedFd>,
    path: Option<PathBuf>,
}

impl Namespace {
    /// Makes a namespace and runs `setup` in it, before any other code can see it.
    ///
    /// # Errors
    /// `EPERM` without CAP_SYS_ADMIN, `ENOSPC` past `user.max_net_namespaces`.
    pub fn create<T: Send>(setup: impl FnOnce() -> T + Send) -> Result<(Self, T)> {
        on_thread(|| {
            unshare_net().map_err(|errno| anonymous("unshare", errno.into()))?;
            let fd = own().map_err(|source| anonymous("open the new namespace", source))?;
            let namespace = Namespace { fd: Arc::new(fd), path: None };
            Ok((namespace, setup()))
        })
    }

    /// Opens a pinned namespace.
    ///
    /// # Errors
    /// `ENOENT` without the file, `EINVAL` when the file has no namespace on it (it was unpinned).
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |op| move |source| Error::Netns { op, path: path.to_owned(), source };
        let file = File::open(path).map_err(failed("open"))?;
        if !is_nsfs(&file).map_err(failed("statfs"))? {
            return Err(failed("open: the file holds no namespace")(Errno::INVAL.into()));
        }
        Ok(Namespace { fd: Arc::new(file.into()), path: Some(path.to_owned()) })
    }

    /// Pins the namespace to a path, so that it outlives every process. Replaces a stale pin.
    pub fn pin(&self, path: &Path) -> Result<Self> {
        let failed = |op| move |source: io::Error| Error::Netns { op, path: path.to_owned(), source };
        if path.exists() {
            Self::unpin(path)?;
        }
        File::create(path).map_err(failed("create the pin's file"))?;
        let source = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        mount_bind(source.as_str(), path).map_err(|errno| {
            let _ = fs::remove_file(path);
            failed("bind mount")(errno.into())
        })?;
        Ok(Namespace { fd: self.fd.clone(), path: Some(path.to_owned()) })
    }

    /// Removes a pin. The kernel frees the namespace in the background when no process is in it. A missing pin is no
    /// error.
    pub fn unpin(path: &Path) -> Result<()> {
        let failed = |op| move |source: io::Error| Error::Netns { op, path: path.to_owned(), source };
        loop {
            match unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
                // Pins may be stacked, when the namespace was mounted twice.
                Ok(()) => {}
                Err(Errno::INVAL | Errno::NOENT) => break,
                Err(errno) => return Err(failed("unmount")(errno.into())),
            }
        }
        match fs::remove_file(path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove the pin's file")(source))
            }
            _ => Ok(()),
        }
    }

    /// Whether a namespace is pinned to the path.
    pub fn is_pinned(path: &Path) -> bool {
        File::open(path).and_then(|file| is_nsfs(&file)).unwrap_or(false)
    }

    /// Runs a closure in the namespace, on a thread of its own, and waits for it (about 50 µs more than the closure
    /// takes).
    pub fn run<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> Result<T> {
        on_thread(|| {
            move_into_link_name_space(self.fd.as_fd(), Some(LinkNameSpaceType::Network)).map_err(
                |errno| {
                    let path = self.path.clone().unwrap_or_else(|| PathBuf::from("(anonymous)"));
                    Error::Netns { op: "enter", path, source: errno.into() }
                },
            )?;
            Ok(inside())
        })
    }

    /// Moves the calling thread to the namespace for good. For tests, and for threads that stay there.
    pub fn enter(&self) -> Result<()> {
        move_into_link_name_space(self.fd.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|errno| anonymous("enter", errno.into()))
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn anonymous(op: &'static str, source: io::Error) -> Error {
    Error::Netns { op, path: PathBuf::from("(anonymous)"), source }
}

fn own() -> io::Result<OwnedFd> {
    File::open("/proc/thread-self/ns/net").map(OwnedFd::from)
}

fn is_nsfs(file: &File) -> io::Result<bool> {
    let found = rustix::fs::fstatfs(file)?;
    #[allow(clippy::unnecessary_cast)]
    Ok(found.f_type as i64 == NSFS_MAGIC)
}

fn on_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("netns".into())
            .stack_size(256 * 1024)
            .spawn_scoped(scope, work)
            .map_err(|source| anonymous("start a thread", source))?;
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

#[allow(unsafe_code)]
fn unshare_net() -> rustix::io::Result<()> {
    // SAFETY: only CLONE_FILES can break the process's view of its descriptors; a network namespace alone
    // changes nothing but the calling thread's, which is one of `on_thread`'s and ends with its closure.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pin_open_and_unpin() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("one");
        let (made, names) =
            Namespace::create(|| fs::read_to_string("/proc/thread-self/net/dev").unwrap()).unwrap();
        assert!(names.contains("lo:") && !names.contains("eth0:"));
        made.pin(&path).unwrap();
        made.pin(&path).unwrap();
        assert!(Namespace::is_pinned(&path));
        drop(made);
        let opened = Namespace::open(&path).unwrap();
        assert!(opened.run(|| true).unwrap());
        Namespace::unpin(&path).unwrap();
        Namespace::unpin(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_plain_file_is_no_namespace() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plain");
        File::create(&path).unwrap();
        assert_eq!(Namespace::open(&path).unwrap_err().errno(), Some(Errno::INVAL.raw_os_error()));
    }
}
