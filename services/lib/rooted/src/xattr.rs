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

/// The longest value, and the longest list of names: the kernel's limits.
const MOST: usize = 64 * 1024;

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
    value(|bytes| rustix::fs::lgetxattr(&path, name, bytes))
}

/// Lists the names of an entry's attributes; none where the file system has no attributes.
pub fn list_xattrs_at(parent: BorrowedFd<'_>, entry: &OsStr) -> rustix::io::Result<Vec<OsString>> {
    let path = path(parent, entry);
    names(|bytes| rustix::fs::llistxattr(&path, bytes))
}

/// All attributes of an open file, whatever it is opened for, ordered by name; none where the file system has none.
pub fn of(file: BorrowedFd<'_>) -> rustix::io::Result<Vec<(OsString, Vec<u8>)>> {
    // What the descriptor's name in /proc leads to is the very file, be it a symlink.
    let path = proc_path(file);
    let mut found = Vec::new();
    for name in names(|bytes| rustix::fs::listxattr(&path, bytes))? {
        // One that went meanwhile is none.
        if let Some(value) = value(|bytes| rustix::fs::getxattr(&path, &name, bytes))? {
            found.push((name, value));
        }
    }
    found.sort();
    Ok(found)
}

/// A value; none where there is no such attribute.
fn value(ask: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Option<Vec<u8>>> {
    match whole(256, ask) {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A list of names; empty where there are no attributes.
fn names(ask: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<OsString>> {
    let list = match whole(512, ask) {
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        list => list?,
    };
    let names = list.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| OsStr::from_bytes(name).to_owned()).collect())
}

/// Bytes whose number is not known: first into a buffer that is enough for most, then into one that is for all.
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
