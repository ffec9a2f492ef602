//! Extended attributes of an entry, named by its open parent and a last component.
//!
//! Linux has `setxattrat(2)` only since 6.13. The `l…` calls on `/proc/self/fd/<parent>/<name>` do the same: the
//! descriptor fixes the parent, and the last component is not followed.

use std::ffi::{OsStr, OsString};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use super::proc_path;

/// The longest value and the longest list of names in bytes: the kernel's limits.
const MOST: usize = 64 * 1024;

fn path(parent: BorrowedFd<'_>, name: &OsStr) -> PathBuf {
    Path::new(&proc_path(parent)).join(name)
}

/// Sets an attribute, whether or not it exists.
pub fn set_xattr_at(
    parent: BorrowedFd<'_>,
    entry: &OsStr,
    name: &OsStr,
    value: &[u8],
) -> rustix::io::Result<()> {
    rustix::fs::lsetxattr(path(parent, entry), name, value, XattrFlags::empty())
}

/// Reads an attribute; `None` if the entry lacks it or the file system has no attributes.
pub fn get_xattr_at(
    parent: BorrowedFd<'_>,
    entry: &OsStr,
    name: &OsStr,
) -> rustix::io::Result<Option<Vec<u8>>> {
    let path = path(parent, entry);
    value(|bytes| rustix::fs::lgetxattr(&path, name, bytes))
}

/// Lists the names of an entry's attributes; empty where the file system has no attributes.
pub fn list_xattrs_at(parent: BorrowedFd<'_>, entry: &OsStr) -> rustix::io::Result<Vec<OsString>> {
    let path = path(parent, entry);
    names(|bytes| rustix::fs::llistxattr(&path, bytes))
}

/// All attributes of an open file, with any open mode, sorted by name; empty where the file system has no attributes.
pub fn of(file: BorrowedFd<'_>) -> rustix::io::Result<Vec<(OsString, Vec<u8>)>> {
    // The path of the descriptor in /proc leads to the file itself, even to a symbolic link.
    let path = proc_path(file);
    let mut found = Vec::new();
    for name in names(|bytes| rustix::fs::listxattr(&path, bytes))? {
        // The attribute was removed meanwhile.
        if let Some(value) = value(|bytes| rustix::fs::getxattr(&path, &name, bytes))? {
            found.push((name, value));
        }
    }
    found.sort();
    Ok(found)
}

/// The value of an attribute; `None` without the attribute.
fn value(ask: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Option<Vec<u8>>> {
    match whole(256, ask) {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A list of names; empty where the file system has no attributes.
fn names(ask: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<OsString>> {
    let list = match whole(512, ask) {
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        list => list?,
    };
    let names = list.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| OsStr::from_bytes(name).to_owned()).collect())
}

/// Reads bytes of unknown length: with a buffer that is usually large enough, then with one that always is.
fn whole(
    enough: usize,
    mut ask: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>,
) -> rustix::io::Result<Vec<u8>> {
    let mut bytes = vec![0u8; enough];
    loop {
        match ask(&mut bytes) {
            Ok(length) => {
                bytes.truncate(length);
                return Ok(bytes);
            }
            Err(Errno::RANGE) if bytes.len() < MOST => bytes.resize(MOST, 0),
            Err(error) => return Err(error),
        }
    }
}
