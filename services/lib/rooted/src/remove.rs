//! Removes trees, without following symbolic links and without a recursion that a deep tree could exhaust.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::entry::{Entry, EntryKind, entries};
use crate::{Error, Result};

/// Removes an entry of an open directory with everything below it. A missing one is no error.
///
/// `name` is a single component; a symbolic link is not followed.
pub fn remove_at(parent: BorrowedFd<'_>, name: &OsStr) -> Result<()> {
    let refused = match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // Some file systems return EPERM for a directory, and all of them for a file that may not be removed.
        Err(e @ (Errno::ISDIR | Errno::PERM)) => e,
        Err(e) => return Err(Error::path("remove", name, e)),
    };
    match open(parent, name) {
        Ok(directory) => clear(directory).map_err(|e| Error::path("empty", name, e))?,
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOTDIR | Errno::LOOP) if refused == Errno::PERM => {
            return Err(Error::path("remove", name, refused));
        }
        Err(e) => return Err(Error::path("remove", name, e)),
    }
    match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(Error::path("remove", name, e)),
    }
}

/// Removes everything in an open directory, but not the directory.
pub fn clear_directory(directory: BorrowedFd<'_>) -> Result<()> {
    for entry in entries(directory).map_err(|e| Error::os("read", "a directory", e))? {
        remove_at(directory, &entry.name)?;
    }
    Ok(())
}

struct Level {
    directory: OwnedFd,
    left: Vec<Entry>,
}

/// How many levels are open at a time.
const OPEN: usize = 128;

/// Empties a directory depth first, with few open descriptors however deep the tree is: moves deeper directories up
/// into the top directory first, under unique names.
fn clear(directory: OwnedFd) -> rustix::io::Result<()> {
    let left = entries(directory.as_fd())?;
    let mut levels = vec![Level { directory, left }];
    let mut moved = 0u64;
    while let Some(level) = levels.last_mut() {
        let Some(entry) = level.left.pop() else {
            levels.pop();
            // The name is still in the parent's list: the next pass finds the directory empty and removes it.
            continue;
        };
        let name = entry.name.as_os_str();
        let flags =
            if entry.kind == Some(EntryKind::Directory) { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        match rustix::fs::unlinkat(&level.directory, name, flags) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::ISDIR) => {
                if levels.len() >= OPEN
                    && let Some(entry) = move_up(&levels, name, &mut moved)
                {
                    levels[0].left.push(entry);
                    continue;
                }
                let level = levels.last_mut().expect("the loop goes on while there is one");
                let below = open(level.directory.as_fd(), name)?;
                let left = entries(below.as_fd())?;
                level.left.push(Entry { kind: Some(EntryKind::Directory), ..entry });
                levels.push(Level { directory: below, left });
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Moves a directory from the deepest open level to the top, under an unused name. Overlay, for example, does not
/// move directories of a lower layer: then the tree takes as many descriptors as it is deep.
fn move_up(levels: &[Level], name: &OsStr, moved: &mut u64) -> Option<Entry> {
    let (top, deepest) = (&levels[0].directory, &levels[levels.len() - 1].directory);
    loop {
        let new = OsString::from(format!(".gantry-removed-{moved}"));
        *moved += 1;
        match rustix::fs::renameat_with(deepest, name, top, &new, RenameFlags::NOREPLACE) {
            Ok(()) => return Some(Entry { name: new, kind: Some(EntryKind::Directory) }),
            Err(Errno::EXIST) => {}
            Err(_) => return None,
        }
    }
}

fn open(parent: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}
