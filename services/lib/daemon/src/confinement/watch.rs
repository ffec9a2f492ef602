//! Files that the Landlock rules name and that may be replaced.
//!
//! A rule applies to a file, not to its name: a new file that is renamed over `/etc/resolv.conf` is inaccessible, and
//! so is a directory that is made later. A service that finds such a change ends, and is started again with new
//! rules.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the files are checked.
const INTERVAL: Duration = Duration::from_secs(10);

/// A path and the file that was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Watched {
    path: PathBuf,
    /// The file's device and inode; `None` when there was none.
    file: Option<(u64, u64)>,
}

impl Watched {
    /// The path with its present file.
    pub(super) fn of(path: &Path) -> Self {
        let file = fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
        Self { path: path.to_owned(), file }
    }

    #[cfg(test)]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether another file is there now. A file that is gone needs no new rules.
    fn is_replaced(&self) -> bool {
        let now = Self::of(&self.path);
        now.file.is_some() && now != *self
    }
}

/// Returns the first path with another file.
pub(crate) async fn replaced(watched: Vec<Watched>) -> PathBuf {
    loop {
        tokio::time::sleep(INTERVAL).await;
        if let Some(one) = watched.iter().find(|one| one.is_replaced()) {
            return one.path.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_by_a_rename_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("resolv.conf");
        fs::write(&path, "one").expect("written");
        let watched = Watched::of(&path);
        fs::write(&path, "two").expect("written");
        assert!(!watched.is_replaced(), "the same file");
        fs::write(folder.path().join("new"), "three").expect("written");
        fs::rename(folder.path().join("new"), &path).expect("renamed");
        assert!(watched.is_replaced());
    }

    #[test]
    fn what_appears_is_new_and_what_goes_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("certs.d");
        let (watched, there) = (Watched::of(&path), Watched::of(folder.path()));
        assert!(!watched.is_replaced());
        fs::create_dir(&path).expect("made");
        assert!(watched.is_replaced());
        drop(folder);
        assert!(!there.is_replaced());
    }
}
