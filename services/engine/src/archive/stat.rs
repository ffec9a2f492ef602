//! What a path in a container is, in the form in which Docker reports it before a copy.

use std::path::PathBuf;

use gantry_api::engine::PathStat;
use gantry_rooted::{EntryKind, FileStat, Last, Spot, View, Walked};

use super::place::Place;
use super::words;
use crate::error::{Error, Result};
use crate::root::kernel;

/// A found path.
pub struct Found {
    /// The file that the path leads to. A symlink is not followed unless the path ended in a slash or `/.`.
    pub spot: Spot,
    /// The last part of the path as Docker names it: `.` for `dir/.`, `/` for the root.
    pub name: String,
}

/// Looks a path up; `container` and `path` only word the error.
pub fn find(place: &Place, container: &str, path: &str) -> Result<Found> {
    let spot = locate(place, place.last(), container, path)?;
    let text = place.path.to_string_lossy();
    let name = match text.trim_end_matches('/') {
        "" => "/",
        rest => rest.rsplit('/').next().unwrap_or_default(),
    };
    Ok(Found { spot, name: name.to_owned() })
}

/// Finds the file at a place. The error for a missing file has Docker's words.
pub fn locate(place: &Place, last: Last, container: &str, path: &str) -> Result<Spot> {
    match place.view.walk(&place.path, last) {
        Ok(Walked::Found(spot)) => Ok(spot),
        Ok(Walked::Missing(_)) => {
            Err(Error::NoSuchFile { container: container.to_owned(), path: path.to_owned() })
        }
        Err(error) => match error.io() {
            Some(source) => Err(Error::Path(format!("lstat {}: {}", place.path.display(), words(source)))),
            None => Err(kernel(error)),
        },
    }
}

impl Found {
    /// Docker's form of the result.
    pub fn view(&self, view: &View) -> PathStat {
        let stat = &self.spot.stat;
        let link_target =
            if stat.kind == EntryKind::Symlink { target(view, &self.spot) } else { PathBuf::new() };
        PathStat {
            name: self.name.clone(),
            size: i64::try_from(stat.size).unwrap_or(i64::MAX),
            mode: go_mode(stat),
            mtime: stat
                .modified
                .seconds
                .saturating_mul(1_000_000_000)
                .saturating_add(stat.modified.nanos.into()),
            link_target: link_target.display().to_string(),
        }
    }
}

/// Follows a symlink to its end. A target that does not exist, and one in a loop, are returned as the symlink has
/// them.
fn target(view: &View, link: &Spot) -> PathBuf {
    match view.walk(&link.path, Last::Follow) {
        Ok(Walked::Found(spot)) => spot.path,
        Ok(Walked::Missing(path)) => path,
        Err(_) => link.read_link().unwrap_or_default().into(),
    }
}

/// Kind and permissions in the bits of Go's `os.FileMode`.
fn go_mode(stat: &FileStat) -> u32 {
    let kind = match stat.kind {
        EntryKind::File => 0,
        EntryKind::Directory => 1 << 31,
        EntryKind::Symlink => 1 << 27,
        EntryKind::BlockDevice => 1 << 26,
        EntryKind::CharDevice => 1 << 26 | 1 << 21,
        EntryKind::Fifo => 1 << 25,
        EntryKind::Socket => 1 << 24,
    };
    let special = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];
    let bits: u32 = special.iter().filter(|(bit, _)| stat.mode & bit != 0).map(|(_, go)| go).sum();
    kind | bits | (stat.mode & 0o777)
}
