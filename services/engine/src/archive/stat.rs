//! What a path is, in the form in which Docker tells it before a copy.

use std::path::Path;

use gantry_host::root::{EntryKind, FileStat, Root};
use gantry_proto::gantry::engine::v1 as pb;

use super::place::Place;
use crate::error::{Error, Result};
use crate::root::kernel;

/// A found path.
pub struct Found {
    /// Its attributes; a symlink's own unless the path ended in `/.`.
    pub stat: FileStat,
    /// The last part of its name as Docker calls it: `.` for `dir/.`, `/` for the root.
    pub name: String,
}

/// Looks at a path; `container` and `path` are only for the error.
pub fn find(place: &Place, container: &str, path: &str) -> Result<Found> {
    let missing = |error: gantry_host::Error| {
        let not_there = error.io().is_some_and(|error| {
            matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
        });
        if not_there {
            Error::NoSuchFile { container: container.to_owned(), path: path.to_owned() }
        } else {
            kernel(error)
        }
    };
    let text = place.path.as_os_str().to_string_lossy().into_owned();
    let directory = text.ends_with("/.") || text == "/";
    let stat = if directory { place.root.stat_followed(&place.path) } else { place.root.stat(&place.path) };
    let stat = FileStat::from_raw(&stat.map_err(missing)?);
    let name =
        if text == "/" { "/".to_owned() } else { text.rsplit('/').next().unwrap_or_default().to_owned() };
    Ok(Found { stat, name })
}

impl Found {
    /// Docker's form.
    pub fn view(&self, root: &Root, path: &Path) -> pb::PathStat {
        let link_target = if self.stat.kind == EntryKind::Symlink {
            root.resolve(path).or_else(|_| root.read_link(path)).unwrap_or_default().display().to_string()
        } else {
            String::new()
        };
        pb::PathStat {
            name: self.name.clone(),
            size: i64::try_from(self.stat.size).unwrap_or(i64::MAX),
            mode: go_mode(&self.stat),
            mtime: Some(prost_types::Timestamp {
                seconds: self.stat.modified.seconds,
                nanos: i32::try_from(self.stat.modified.nanos).unwrap_or(0),
            }),
            link_target,
        }
    }
}

/// Kind and permissions as Go's `os.FileMode` has them.
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
