//! The directories of one snapshotter.
//!
//! ```text
//! <state>/<snapshotter>/
//!   snapshots/<id>/fs       a layer, or what an active snapshot's files are written to
//!   snapshots/<id>/work     overlay's work directory of an active one
//!   snapshots/<id>/layer    says that an image's layer was unpacked there
//!   snapshots/<id>/half     says that it is being filled and has no record yet
//!   staging/<n>/{fs,work}   a layer that is being unpacked; no record knows it
//!   trash/<n>               to be deleted in the background
//!   trash/<id>@<n>          the same, unless the snapshot still has its record when the service starts
//! ```

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::trash::Trash;
use crate::{Error, Result};

/// In the directory of a layer that was unpacked.
const LAYER: &str = "layer";
/// In the directory of a snapshot that is being filled and has no record yet; `gantry backup` leaves it too.
const HALF: &str = "half";
/// In the trash, between a snapshot's id and the rest of the name.
const RECORDED: &str = "@";

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
            gantry_rooted::tree::spread_below(&root.join(name))?;
        }
        // Names in the trash must be new even after a crash.
        let next = AtomicU64::new(0);
        Ok(Self(Arc::new(Inner { root: root.to_owned(), trash, next })))
    }

    /// The snapshotter's own directory.
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// Where the directories of all snapshots are.
    pub fn snapshots(&self) -> PathBuf {
        self.0.root.join("snapshots")
    }

    /// A snapshot's directory.
    pub fn snapshot(&self, id: u64) -> PathBuf {
        self.snapshots().join(id.to_string())
    }

    /// A snapshot's files.
    pub fn fs(&self, id: u64) -> PathBuf {
        self.snapshot(id).join("fs")
    }

    /// An active snapshot's work directory.
    pub fn work(&self, id: u64) -> PathBuf {
        self.snapshot(id).join("work")
    }

    /// The ids of the snapshots that have directories.
    pub fn ids(&self) -> Result<Vec<u64>> {
        Ok(list(&self.snapshots())?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// A new empty directory for a layer to be unpacked into. It goes to the trash unless it is placed.
    pub fn stage(&self) -> Result<Staging> {
        let path = self.0.root.join("staging").join(self.fresh());
        make(&path, 0o700)?;
        let staging = Staging { path, layout: self.clone(), placed: false };
        make(&staging.fs(), 0o755)?;
        make(&staging.work(), 0o711)?;
        mark(&staging.path.join(LAYER))?;
        Ok(staging)
    }

    /// Whether a directory that no record knows is only what a crash left of a making: a layer, which its image has
    /// still, half a copy, or nothing at all. Anything else may be what a container wrote.
    pub fn is_leftover(&self, id: u64) -> bool {
        let directory = self.snapshot(id);
        let empty = |path: &Path| match std::fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        };
        directory.join(LAYER).exists() || directory.join(HALF).exists() || empty(&self.fs(id))
    }

    /// Marks a snapshot's directory as one that is being filled.
    pub fn begin(&self, id: u64) -> Result<()> {
        mark(&self.snapshot(id).join(HALF))
    }

    /// Takes the mark away, once there is a record.
    pub fn recorded(&self, id: u64) -> Result<()> {
        let path = self.snapshot(id).join(HALF);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::Io { op: "remove", path: path.display().to_string(), source })
            }
            _ => Ok(()),
        }
    }

    /// Moves a snapshot's directory to the trash while it still has its record: only so can a start tell what was to go
    /// from what has lost its record.
    pub fn discard_recorded(&self, id: u64) -> Result<Discarded> {
        let from = self.snapshot(id);
        let to = self.0.root.join("trash").join(format!("{id}{RECORDED}{}", self.fresh()));
        match std::fs::rename(&from, &to) {
            Ok(()) => Ok(Discarded { from, to: Some(to), layout: self.clone() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Discarded { from, to: None, layout: self.clone() })
            }
            Err(source) => Err(Error::Io { op: "discard", path: from.display().to_string(), source }),
        }
    }

    /// Puts back what was discarded and kept its record; the highest id that is in the trash.
    pub fn restore(&self, has_record: impl Fn(u64) -> bool) -> Result<u64> {
        let trash = self.0.root.join("trash");
        let mut highest = 0;
        for name in list(&trash)? {
            let Some(id) = name.split_once(RECORDED).and_then(|(id, _)| id.parse().ok()) else { continue };
            highest = highest.max(id);
            let home = self.snapshot(id);
            if has_record(id) && !home.exists() {
                let fail = |source| Error::Io { op: "put back", path: home.display().to_string(), source };
                std::fs::rename(trash.join(name), &home).map_err(fail)?;
            }
        }
        Ok(highest)
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

/// A snapshot's directory in the trash, whose record is about to go.
#[derive(Debug)]
#[must_use = "it goes, or is put back"]
pub struct Discarded {
    from: PathBuf,
    to: Option<PathBuf>,
    layout: Layout,
}

impl Discarded {
    /// Its record has gone: it is deleted some time soon.
    pub fn delete(mut self) {
        if let Some(to) = self.to.take() {
            self.layout.0.trash.delete(to);
        }
    }
}

impl Drop for Discarded {
    fn drop(&mut self) {
        if let Some(to) = self.to.take()
            && let Err(error) = std::fs::rename(&to, &self.from)
        {
            tracing::warn!(path = %self.from.display(), %error, "not put back, until the next start");
        }
    }
}

fn mark(path: &Path) -> Result<()> {
    std::fs::write(path, "").map_err(|source| Error::Io {
        op: "mark",
        path: path.display().to_string(),
        source,
    })
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
