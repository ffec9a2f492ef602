//! The directories of one snapshotter.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::trash::Trash;
use crate::{Error, Result};

/// Where a snapshotter keeps its directories. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Layout(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    trash: Trash,
    next: AtomicU64,
}

impl Layout {
    /// Makes the directories that all others are in.
    pub fn open(root: &Path, trash: Trash) -> Result<Self> {
        for name in ["snapshots", "staging", "trash"] {
            make(&root.join(name), 0o700)?;
        }
        for name in ["snapshots", "staging"] {
            gantry_host::fs::spread_below(&root.join(name))?;
        }
        // Names in the trash must be new even after a crash.
        let next = AtomicU64::new(0);
        Ok(Self(Arc::new(Inner { root: root.to_owned(), trash, next })))
    }

    /// The snapshotter's own directory.
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// A snapshot's directory.
    pub fn snapshot(&self, id: u64) -> PathBuf {
        self.0.root.join("snapshots").join(id.to_string())
    }

    /// A snapshot's files.
    pub fn fs(&self, id: u64) -> PathBuf {
        self.snapshot(id).join("fs")
    }

    /// An active snapshot's work directory.
    pub fn work(&self, id: u64) -> PathBuf {
        self.snapshot(id).join("work")
    }

    /// The numbers of the snapshots that have directories.
    pub fn ids(&self) -> Result<Vec<u64>> {
        Ok(list(&self.0.root.join("snapshots"))?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// A new empty directory for a layer to be unpacked into. It goes to the trash unless it is placed.
    pub fn stage(&self) -> Result<Staging> {
        let path = self.0.root.join("staging").join(self.fresh());
        make(&path, 0o700)?;
        let staging = Staging { path, layout: self.clone(), placed: false };
        make(&staging.fs(), 0o755)?;
        make(&staging.work(), 0o711)?;
        Ok(staging)
    }

    /// Moves a snapshot's directory out of sight, to be deleted later. It is no error if there is none.
    pub fn discard(&self, id: u64) -> Result<()> {
        self.discard_path(&self.snapshot(id))
    }

    /// Discards what a crash left: staged layers, and the trash itself.
    pub fn discard_leftovers(&self) -> Result<()> {
        let staging = self.0.root.join("staging");
        for name in list(&staging)? {
            self.discard_path(&staging.join(name))?;
        }
        let trash = self.0.root.join("trash");
        for name in list(&trash)? {
            self.0.trash.delete(trash.join(name));
        }
        Ok(())
    }

    fn discard_path(&self, path: &Path) -> Result<()> {
        let target = self.0.root.join("trash").join(self.fresh());
        match std::fs::rename(path, &target) {
            Ok(()) => self.0.trash.delete(target),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::Io { op: "discard", path: path.display().to_string(), source }),
        }
        Ok(())
    }

    /// A name that no directory has: the process and the time make it new after a restart.
    fn fresh(&self) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        format!(
            "{:x}-{:x}-{}",
            now.as_nanos(),
            std::process::id(),
            self.0.next.fetch_add(1, Ordering::Relaxed)
        )
    }
}

/// A directory that a layer is unpacked into, on its own or on a copy of those below.
#[derive(Debug)]
pub struct Staging {
    path: PathBuf,
    layout: Layout,
    placed: bool,
}

impl Staging {
    /// The layer's files.
    pub fn fs(&self) -> PathBuf {
        self.path.join("fs")
    }

    /// The work directory for mounting it on others.
    pub fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    /// Makes it the directory of a snapshot. No record knows it yet: a crash now leaves a stray, which a start removes.
    pub fn place(mut self, id: u64) -> Result<()> {
        let target = self.layout.snapshot(id);
        let fail = |source| Error::Io { op: "place layer at", path: target.display().to_string(), source };
        std::fs::rename(&self.path, &target).map_err(fail)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.placed
            && let Err(error) = self.layout.discard_path(&self.path)
        {
            tracing::warn!(error = %gantry_rpc::chain(&error), "a staged layer stays until the next start");
        }
    }
}

/// Makes a directory and its parents; one that is there keeps its mode.
pub(super) fn make(path: &Path, mode: u32) -> Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(path).map_err(|source| Error::Io {
        op: "make directory",
        path: path.display().to_string(),
        source,
    })
}

fn list(path: &Path) -> Result<Vec<String>> {
    let fail = |source| Error::Io { op: "list", path: path.display().to_string(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(fail)? {
        names.push(entry.map_err(fail)?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}
