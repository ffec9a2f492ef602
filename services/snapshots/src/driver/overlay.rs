//! Overlay: a snapshot is a directory of what differs from those below it.

use std::path::{Path, PathBuf};

use gantry_mount::{self as mount, Mount, Upper};
use gantry_rooted::Dir;

use super::layout::{self, Layout, Staging};
use super::{Capabilities, Driver, IdMap, Keeper, Layers, PLUGIN, Snapshot};
use crate::Result;
use crate::record::Kind;
use crate::trash::Trash;

/// What a layer may be put on top of costs nothing if overlay does not have to remember where files came from.
const OPTION: &str = "index=off";

/// The snapshotter `overlayfs`, and the one like it for other containerds.
#[derive(Debug)]
pub struct Overlay {
    name: &'static str,
    keeper: Keeper,
    layout: Layout,
}

impl Overlay {
    /// Its name.
    pub const NAME: &str = "overlayfs";

    /// Makes its directories below `state`.
    pub fn open(state: &Path, trash: &Trash) -> Result<Self> {
        Self::named(Self::NAME, Keeper::Us, state, trash)
    }

    /// The same in directories of its own, for other containerds.
    pub fn for_others(state: &Path, trash: &Trash) -> Result<Self> {
        Self::named(PLUGIN, Keeper::Them, state, trash)
    }

    fn named(name: &'static str, keeper: Keeper, state: &Path, trash: &Trash) -> Result<Self> {
        Ok(Self { name, keeper, layout: Layout::open(&state.join(name), trash.clone())? })
    }

    fn files_of(&self, layers: &[u64]) -> Vec<PathBuf> {
        layers.iter().map(|id| self.layout.fs(*id)).collect()
    }

    /// Files on top of layers: themselves where there are none.
    fn writable(&self, files: PathBuf, work: PathBuf, layers: &[u64]) -> Vec<Mount> {
        if layers.is_empty() {
            return vec![bind(&files, true)];
        }
        vec![overlay(Some(Upper { files, work }), self.files_of(layers))]
    }
}

impl Driver for Overlay {
    fn name(&self) -> &'static str {
        self.name
    }

    fn keeper(&self) -> Keeper {
        self.keeper
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { layers: Layers::Stacked, remap_ids: true }
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn make(&self, snapshot: Snapshot<'_>) -> Result<()> {
        if !snapshot.has_directory() {
            return Ok(());
        }
        let files = self.layout.fs(snapshot.id);
        layout::make(&files, 0o755)?;
        if snapshot.kind == Kind::Active {
            layout::make(&self.layout.work(snapshot.id), 0o711)?;
        }
        if let Some(below) = snapshot.layers.first() {
            // The upper directory is the whole file system's root: it belongs to whom the image says, and is open to all,
            // whatever the image says.
            let below = Dir::open(&self.layout.fs(*below))?.own_stat()?;
            if (below.uid, below.gid) != (0, 0) {
                Dir::open(&files)?.set_own_owner(below.uid, below.gid)?;
            }
        }
        Ok(())
    }

    fn is_made(&self, snapshot: Snapshot<'_>) -> bool {
        !snapshot.has_directory()
            || (self.layout.fs(snapshot.id).is_dir()
                && (snapshot.kind != Kind::Active || self.layout.work(snapshot.id).is_dir()))
    }

    /// The layers are shown as if they belonged to the mapped ids; the upper directory is not, so it has to belong to them.
    fn remap_root(&self, snapshot: Snapshot<'_>, map: &IdMap) -> Result<()> {
        // Without a layer the directory is all there is, and is shown itself.
        let Some(below) = snapshot.layers.first() else { return Ok(()) };
        let below = Dir::open(&self.layout.fs(*below))?.own_stat()?;
        let (uid, gid) = map.outside(below.uid, below.gid)?;
        Ok(Dir::open(&self.layout.fs(snapshot.id))?.set_own_owner(uid, gid)?)
    }

    fn mounts(&self, snapshot: Snapshot<'_>) -> Vec<Mount> {
        let Snapshot { id, kind, layers } = snapshot;
        match (kind, layers) {
            (Kind::Active, layers) => self.writable(self.layout.fs(id), self.layout.work(id), layers),
            (_, []) => vec![bind(&self.layout.fs(id), false)],
            (_, [only]) => vec![bind(&self.layout.fs(*only), false)],
            (_, layers) => vec![overlay(None, self.files_of(layers))],
        }
    }

    fn stage_on(&self, staging: &Staging, layers: &[u64]) -> Result<Vec<Mount>> {
        Ok(self.writable(staging.fs(), staging.work(), layers))
    }
}

fn bind(files: &Path, writable: bool) -> Mount {
    Mount::bind(files.display().to_string(), writable)
}

fn overlay(upper: Option<Upper>, lower: Vec<PathBuf>) -> Mount {
    mount::Overlay { upper, lower, options: vec![OPTION.to_owned()] }.into()
}
