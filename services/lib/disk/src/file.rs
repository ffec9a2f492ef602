//! Facts about a file that only the kernel has.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use rustix::fs::SeekFrom;

/// How many bytes a file has before its first hole or its end.
///
/// A writer that writes pieces out of order and dies leaves a hole; the bytes before it were written. File systems
/// without holes report none. Moves the file's position.
pub fn solid_length(file: &File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    if length == 0 {
        return Ok(0);
    }
    match rustix::fs::seek(file, SeekFrom::Hole(0)) {
        Ok(hole) => Ok(hole.min(length)),
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::OPNOTSUPP) => Ok(length),
        Err(error) => Err(error.into()),
    }
}

/// Whether a file is open for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writers {
    /// No process has a writable descriptor or mapping of it, and none is being sent between two processes.
    None,
    /// There is at least one.
    Some,
    /// The file system cannot tell.
    Unknown,
}

/// Finds out whether a file is open for writing, by taking a read lease (fcntl(2), `F_SETLEASE`) and returning it:
/// the kernel refuses the lease while the file is open for writing anywhere.
///
/// `file` must be open for reading only, and must belong to the caller (or the caller needs CAP_LEASE). The answer
/// stays true until a process opens the file again. When that happens while the lease is held, the kernel sends
/// SIGIO, which kills a process without a handler for it.
pub fn writers(file: &File) -> io::Result<Writers> {
    match set_lease(file, libc::F_RDLCK) {
        Ok(()) => {
            set_lease(file, libc::F_UNLCK)?;
            Ok(Writers::None)
        }
        Err(error) => match error.raw_os_error() {
            // EAGAIN and EWOULDBLOCK are the same number on Linux.
            Some(libc::EAGAIN | libc::EBUSY) => Ok(Writers::Some),
            Some(libc::EACCES | libc::EINVAL | libc::EOPNOTSUPP | libc::ENOLCK) => Ok(Writers::Unknown),
            _ => Err(error),
        },
    }
}

/// Whether somebody else has a file open: another descriptor of this process, or another process. `None` where the file
/// system cannot tell.
///
/// It takes a write lease (fcntl(2), `F_SETLEASE`) and returns it: the kernel (since Linux 5.3) refuses the lease while
/// the file is open elsewhere. The conditions are those of [`writers`].
pub fn is_open_elsewhere(file: &File) -> io::Result<Option<bool>> {
    match set_lease(file, libc::F_WRLCK) {
        Ok(()) => {
            set_lease(file, libc::F_UNLCK)?;
            Ok(Some(false))
        }
        Err(error) => match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EBUSY) => Ok(Some(true)),
            Some(libc::EACCES | libc::EINVAL | libc::EOPNOTSUPP | libc::ENOLCK) => Ok(None),
            _ => Err(error),
        },
    }
}

#[allow(unsafe_code)]
fn set_lease(file: &File, kind: i32) -> io::Result<()> {
    // SAFETY: F_SETLEASE takes an integer and touches no memory of ours; the descriptor is open, because `file` is
    // borrowed for the call.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::os::unix::fs::FileExt;

    #[test]
    fn a_hole_ends_what_is_solid() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
        assert_eq!(solid_length(&file).unwrap(), 0);
        file.write_all_at(&[1; 5000], 0).unwrap();
        assert_eq!(solid_length(&file).unwrap(), 5000);
        file.write_all_at(&[1; 100], 1 << 20).unwrap();
        let solid = solid_length(&file).unwrap();
        assert!((5000..=65536).contains(&solid), "{solid}");
    }

    #[test]
    fn every_other_descriptor_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        drop(File::create(&path).unwrap());
        let file = File::open(&path).unwrap();
        assert_eq!(is_open_elsewhere(&file).unwrap(), Some(false));
        let other = File::open(&path).unwrap();
        assert_eq!(is_open_elsewhere(&file).unwrap(), Some(true));
        drop(other);
        assert_eq!(is_open_elsewhere(&file).unwrap(), Some(false));
    }

    #[test]
    fn every_open_writer_is_seen_and_readers_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let writer = File::create(&path).unwrap();
        let reader = File::open(&path).unwrap();
        let other_reader = File::open(&path).unwrap();
        assert_eq!(writers(&reader).unwrap(), Writers::Some);
        let duplicate = writer.try_clone().unwrap();
        drop(writer);
        assert_eq!(writers(&reader).unwrap(), Writers::Some);
        drop(duplicate);
        assert_eq!(writers(&reader).unwrap(), Writers::None);
        drop(other_reader);
    }
}
