//! What rules name, and may be replaced.
//!
//! A rule is about a file, not about its name: what is renamed over `/etc/resolv.conf` is out of reach, and so is a
//! directory that appears later. A service that finds this ends, to be started again with new rules.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often they are looked at.
const INTERVAL: Duration = Duration::from_secs(10);

/// A path, and what was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Watched {
    path: PathBuf,
    /// The file's device and number; `None` when there was none.
    file: Option<(u64, u64)>,
}

impl Watched {
    /// The path as it is now.
    pub(super) fn of(path: &Path) -> Self {
        let file = fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
        Self { path: path.to_owned(), file }
    }

    #[cfg(test)]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Something else is there now. One that is gone needs no other rules.
    fn is_replaced(&self) -> bool {
        let now = Self::of(&self.path);
        now.file.is_some() && now != *self
    }
}

/// Returns the first path at which something else is.
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
