//! Native: a snapshot is a whole copy of its parent, for file systems that overlay does not take.

use std::os::fd::AsFd;
use std::path::Path;

use gantry_mount::Mount;
use gantry_rooted::Dir;
use gantry_rooted::tree::copy_tree;

use super::layout::{self, Layout, Staging};
use super::{Capabilities, Driver, IdMap, Layers, Snapshot};
use crate::Result;
use crate::record::Kind;
use crate::trash::Trash;

/// The snapshotter `native`.
#[derive(Debug)]
pub struct Native(Layout);

impl Native {
    /// Its name.
    pub const NAME: &str = "native";

    /// Makes its directories below `state`.
    pub fn open(state: &Path, trash: &Trash) -> Result<Self> {
        Ok(Self(Layout::open(&state.join(Self::NAME), trash.clone())?))
    }
}

impl Driver for Native {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    /// Its files are a snapshot's own, and belong to whom they belonged below.
    fn capabilities(&self) -> Capabilities {
        Capabilities { layers: Layers::Whole, remap_ids: false }
    }

    fn layout(&self) -> &Layout {
        &self.0
    }

    fn make(&self, snapshot: Snapshot<'_>) -> Result<()> {
        if !snapshot.has_directory() {
            return Ok(());
        }
        let files = self.0.fs(snapshot.id);
        layout::make(&files, 0o755)?;
        match snapshot.layers.first() {
            Some(below) if std::fs::read_dir(&files).is_ok_and(|mut entries| entries.next().is_none()) => {
                self.0.begin(snapshot.id)?;
                copy(&self.0.fs(*below), &files)?;
                // After a power failure half a copy could not be told from a complete one that was changed.
                Ok(gantry_rooted::tree::sync_file_system(Dir::open(&files)?)?)
            }
            _ => Ok(()),
        }
    }

    fn remap_root(&self, _snapshot: Snapshot<'_>, _map: &IdMap) -> Result<()> {
        Ok(())
    }

    fn recorded(&self, id: u64) -> Result<()> {
        self.0.recorded(id)
    }

    fn mounts(&self, snapshot: Snapshot<'_>) -> Vec<Mount> {
        let (id, writable) = match (snapshot.kind, snapshot.layers.first()) {
            (Kind::Active, _) => (snapshot.id, true),
            (_, Some(below)) => (*below, false),
            (_, None) => (snapshot.id, false),
        };
        vec![Mount::bind(self.0.fs(id).display().to_string(), writable)]
    }

    fn stage_on(&self, staging: &Staging, layers: &[u64]) -> Result<Vec<Mount>> {
        if let Some(below) = layers.first() {
            copy(&self.0.fs(*below), &staging.fs())?;
        }
        Ok(vec![Mount::bind(staging.fs().display().to_string(), true)])
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let (from, to) = (Dir::open(from)?, Dir::open(to)?);
    copy_tree(from.as_fd(), to.as_fd())?;
    Ok(())
}
