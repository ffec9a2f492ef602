//! Extended attributes of an entry that is named by its open parent and one last part.
//!
//! Linux has `setxattrat(2)` only since 6.13; `/proc/self/fd/<parent>/<name>` with the `l` calls says the same:
//! the parent is fixed by its descriptor, and the last part is not followed.

use std::ffi::{OsStr, OsString};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use super::proc_path;

fn path(parent: BorrowedFd<'_>, name: &OsStr) -> PathBuf {
    Path::new(&proc_path(parent)).join(name)
}

/// Sets an attribute, new or not.
pub fn set_xattr_at(
    parent: BorrowedFd<'_>,
    entry: &OsStr,
    name: &OsStr,
    value: &[u8],
) -> rustix::io::Result<()> {
    rustix::fs::lsetxattr(path(parent, entry), name, value, XattrFlags::empty())
}

/// Reads an attribute; `None` if the entry does not have it or its file system has no attributes.
pub fn get_xattr_at(
    parent: BorrowedFd<'_>,
    entry: &OsStr,
    name: &OsStr,
) -> rustix::io::Result<Option<Vec<u8>>> {
    let path = path(parent, entry);
    let mut value = vec![0u8; 256];
    loop {
        match rustix::fs::lgetxattr(&path, name, &mut value[..]) {
            Ok(length) => {
                value.truncate(length);
                return Ok(Some(value));
            }
            Err(Errno::RANGE) if value.len() < 64 * 1024 => value.resize(64 * 1024, 0),
            Err(Errno::NODATA | Errno::NOTSUP) => return Ok(None),
            Err(e) => return Err(e),
        }
    }
}

/// Lists the names of an entry's attributes; none where the file system has no attributes.
pub fn list_xattrs_at(parent: BorrowedFd<'_>, entry: &OsStr) -> rustix::io::Result<Vec<OsString>> {
    let path = path(parent, entry);
    let mut names = vec![0u8; 512];
    loop {
        match rustix::fs::llistxattr(&path, &mut names[..]) {
            Ok(length) => {
                names.truncate(length);
                break;
            }
            Err(Errno::RANGE) if names.len() < 64 * 1024 => names.resize(64 * 1024, 0),
            Err(Errno::NOTSUP) => return Ok(Vec::new()),
            Err(e) => return Err(e),
        }
    }
    Ok(names
        .split(|byte| *byte == 0)
        .filter(|n| !n.is_empty())
        .map(|n| OsStr::from_bytes(n).to_owned())
        .collect())
}

/// All attributes of an open file, whatever it is opened for, ordered by name; none where the file system has none.
pub fn of(file: BorrowedFd<'_>) -> rustix::io::Result<Vec<(OsString, Vec<u8>)>> {
    // What the descriptor's name in /proc leads to is the very file, be it a symlink.
    let path = proc_path(file);
    let mut names = vec![0u8; 512];
    loop {
        match rustix::fs::listxattr(&path, &mut names[..]) {
            Ok(length) => {
                names.truncate(length);
                break;
            }
            Err(Errno::RANGE) if names.len() < 64 * 1024 => names.resize(64 * 1024, 0),
            Err(Errno::NOTSUP) => return Ok(Vec::new()),
            Err(e) => return Err(e),
        }
    }
    let mut found = Vec::new();
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0u8; 256];
        loop {
            match rustix::fs::getxattr(&path, name, &mut value[..]) {
                Ok(length) => {
                    value.truncate(length);
                    found.push((OsStr::from_bytes(name).to_owned(), value));
                    break;
                }
                Err(Errno::RANGE) if value.len() < 64 * 1024 => value.resize(64 * 1024, 0),
                Err(Errno::NODATA | Errno::NOTSUP) => break,
                Err(e) => return Err(e),
            }
        }
    }
    found.sort();
    Ok(found)
}
