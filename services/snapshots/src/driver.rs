//! How a snapshot becomes directories and mounts.
//!
//! A driver is chosen by the snapshotter's name in the request; the set is closed. All of them keep the same layout:
//!
//! ```text
//! <state>/<snapshotter>/
//!   snapshots/<id>/fs       a layer, or an active snapshot's upper directory
//!   snapshots/<id>/work     overlay's work directory of an active one
//!   snapshots/<id>/layer    says that an image's layer was unpacked there
//!   snapshots/<id>/half     says that it is being filled and has no record yet
//!   staging/<n>/{fs,work}   a layer that is being unpacked; no record knows it
//!   trash/<n>               to be deleted in the background
//!   trash/<id>@<n>          the same, unless the snapshot still has its record when the service starts
//! ```

mod idmap;
mod layout;
mod native;
mod overlay;

use gantry_mount::Mount;
use gantry_rooted::tree::{Usage, disk_usage};

pub use idmap::IdMap;
pub use layout::{Layout, Staging};

use crate::Result;
use crate::layer::Mode;
use crate::record::Kind;
use crate::trash::Trash;

/// The snapshotters there are.
#[derive(Debug, Clone)]
pub struct Driver {
    method: Method,
    layout: Layout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Overlay,
    Native,
}

/// The snapshotter that is meant where none is named.
pub const DEFAULT: &str = "overlayfs";

impl Driver {
    /// All drivers, with their directories below `state`.
    pub fn all(state: &std::path::Path, trash: &Trash) -> Result<Vec<Self>> {
        [Method::Overlay, Method::Native]
            .into_iter()
            .map(|method| {
                Ok(Self { method, layout: Layout::open(&state.join(method.name()), trash.clone())? })
            })
            .collect()
    }

    /// The snapshotter's name.
    pub fn name(&self) -> &'static str {
        self.method.name()
    }

    /// Its directories.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Makes the directories of a new snapshot on top of `layers`. Can be repeated.
    pub fn make(&self, id: u64, kind: Kind, layers: &[u64]) -> Result<()> {
        match self.method {
            Method::Overlay => overlay::make(&self.layout, id, kind, layers),
            Method::Native => native::make(&self.layout, id, kind, layers),
        }
    }

    /// Hands the root of a new snapshot to the ids that its labels map. Can be repeated.
    pub fn map_root(&self, id: u64, layers: &[u64], map: &IdMap) -> Result<()> {
        match self.method {
            Method::Overlay => overlay::map_root(&self.layout, id, layers, map),
            // Its files are the snapshot's own, and belong to whom they belonged below.
            Method::Native => Ok(()),
        }
    }

    /// Notes that a snapshot has its record.
    pub fn recorded(&self, id: u64) -> Result<()> {
        match self.method {
            // Its new directories are empty.
            Method::Overlay => Ok(()),
            Method::Native => self.layout.recorded(id),
        }
    }

    /// The mounts that show a snapshot.
    pub fn mounts(&self, id: u64, kind: Kind, layers: &[u64]) -> Vec<Mount> {
        match self.method {
            Method::Overlay => overlay::mounts(&self.layout, id, kind, layers),
            Method::Native => native::mounts(&self.layout, id, kind, layers),
        }
    }

    /// The mounts that show a snapshot to a container with mapped ids.
    pub fn mapped_mounts(&self, id: u64, kind: Kind, layers: &[u64], map: &IdMap) -> Vec<Mount> {
        let mut mounts = self.mounts(id, kind, layers);
        if self.method == Method::Overlay {
            for mount in &mut mounts {
                mount.options.splice(..0, map.options());
            }
        }
        mounts
    }

    /// Whether a snapshot has directories of its own.
    pub fn has_directory(&self, kind: Kind, layers: &[u64]) -> bool {
        kind != Kind::View || layers.is_empty()
    }

    /// What a snapshot takes; nothing for one without directories.
    pub fn usage(&self, id: u64, kind: Kind, layers: &[u64]) -> Result<Usage> {
        if !self.has_directory(kind, layers) {
            return Ok(Usage::default());
        }
        Ok(disk_usage(&self.layout.fs(id))?)
    }

    /// How layers are unpacked: alone, or onto a copy of those below.
    pub fn unpacks(&self) -> Mode {
        match self.method {
            Method::Overlay => Mode::Overlay,
            Method::Native => Mode::Merged,
        }
    }

    /// The layers, the topmost first, as one read-only file system.
    pub fn view_of(&self, layers: &[u64]) -> Vec<Mount> {
        self.mounts(0, Kind::View, layers)
    }

    /// A staged directory on top of layers, writable.
    pub fn staged_on(&self, staging: &Staging, layers: &[u64]) -> Vec<Mount> {
        match self.method {
            Method::Overlay => overlay::writable(&self.layout, &staging.fs(), &staging.work(), layers),
            Method::Native => vec![Mount::bind(staging.fs().display().to_string(), true)],
        }
    }

    /// Fills a staged directory with what is below it, where the driver has no other way to show that.
    pub fn begin_staging(&self, staging: &Staging, layers: &[u64]) -> Result<()> {
        match (self.method, layers.first()) {
            (Method::Native, Some(below)) => native::copy(&self.layout.fs(*below), &staging.fs()),
            _ => Ok(()),
        }
    }
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Method::Overlay => "overlayfs",
            Method::Native => "native",
        }
    }
}

#[cfg(test)]
mod tests;
