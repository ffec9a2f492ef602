//! How a snapshot becomes directories and mounts.
//!
//! A driver is chosen by the snapshotter's name in a request, among those that `app.rs` opened. The set is open: a driver
//! is one file here and one line there. It keeps its snapshots in a [`Layout`], and is told of them by their ids; what
//! they are called, and what is on top of what, is the store's. So a snapshotter that keeps records of its own is no
//! driver.

mod idmap;
mod layout;
mod native;
mod overlay;

use std::fmt::Debug;

use gantry_mount::Mount;
use gantry_rooted::tree::{Usage, disk_usage};

pub use idmap::IdMap;
pub use layout::{Layout, Staging};
pub use native::Native;
pub use overlay::Overlay;

use crate::Result;
use crate::record::Kind;

/// The snapshotter that is meant where none is named.
pub const DEFAULT: &str = Overlay::NAME;
/// The snapshotter for other containerds: what a proxy plugin of theirs is to be called.
pub const PLUGIN: &str = "gantry";

/// Who decides which of a snapshotter's snapshots are still needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    /// This Gantry: its leases and labels say so, and `control` collects.
    Us,
    /// Another containerd, which keeps names, leases and labels of its own above them: Gantry collects nothing, asks
    /// for no lease, and announces no change.
    Them,
}

/// Keeps the snapshots of one snapshotter, and shows them.
///
/// A snapshot is made, shown as often as a client asks, and discarded by its [`Layout`]. That of an image's layer is
/// staged first: filled under a name of its own, and given its id when it is whole. Everything may be repeated: a start
/// makes again what a crash has left half made.
pub trait Driver: Debug + Send + Sync {
    /// The snapshotter's name.
    fn name(&self) -> &'static str;

    /// Who decides which snapshots may be removed.
    fn keeper(&self) -> Keeper {
        Keeper::Us
    }

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Its directories.
    fn layout(&self) -> &Layout;

    /// Makes what a new snapshot needs on disk.
    fn make(&self, snapshot: Snapshot<'_>) -> Result<()>;

    /// Whether all is on disk that a snapshot needs.
    fn is_made(&self, snapshot: Snapshot<'_>) -> bool {
        !snapshot.has_directory() || self.layout().fs(snapshot.id).is_dir()
    }

    /// Hands the root of a new snapshot to the ids that it is shown with. Only asked of those that remap ids.
    fn remap_root(&self, snapshot: Snapshot<'_>, map: &IdMap) -> Result<()>;

    /// Hears that a snapshot has its record.
    fn recorded(&self, _id: u64) -> Result<()> {
        Ok(())
    }

    /// The mounts that show a snapshot, with the ids that are on disk.
    fn mounts(&self, snapshot: Snapshot<'_>) -> Vec<Mount>;

    /// Puts a staged directory on top of layers, the topmost first; tells the mounts that show all, writable.
    fn stage_on(&self, staging: &Staging, layers: &[u64]) -> Result<Vec<Mount>>;

    /// What a snapshot takes alone; nothing for one without directories.
    fn usage(&self, snapshot: Snapshot<'_>) -> Result<Usage> {
        match snapshot.has_directory() {
            true => Ok(disk_usage(&self.layout().fs(snapshot.id))?),
            false => Ok(Usage::default()),
        }
    }
}

/// What a driver can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// What is in the directory of a layer.
    pub layers: Layers,
    /// Whether mounts can show files with other ids than they have on disk: containerd's `remap-ids`.
    pub remap_ids: bool,
}

/// How layers lie on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layers {
    /// Each alone: what differs from those below, with overlay's marks for what it removes.
    Stacked,
    /// Each with all that is below it.
    Whole,
}

impl Capabilities {
    /// Whether a snapshot that was made without a parent can be put on top of one: containerd's `rebase`. Clients are not
    /// told: what a layer removes is only marked where it is unpacked by us.
    pub fn rebase(self) -> bool {
        self.layers == Layers::Stacked
    }

    /// The words of containerd's for what clients may ask for.
    pub fn words(self) -> &'static [&'static str] {
        // The mounts say with which ids; the shim shows the layers so, without a copy.
        if self.remap_ids { &["remap-ids", "only-remap-ids"] } else { &[] }
    }
}

/// A snapshot as drivers know it.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot<'s> {
    /// Its id: the name of its directory.
    pub id: u64,
    /// Its kind.
    pub kind: Kind,
    /// The ids of those below it, the nearest first.
    pub layers: &'s [u64],
}

impl<'s> Snapshot<'s> {
    /// Layers, the topmost first, as one read-only file system.
    pub fn view(layers: &'s [u64]) -> Self {
        Self { id: 0, kind: Kind::View, layers }
    }

    /// Whether it has directories of its own: a view shows those below it.
    pub fn has_directory(self) -> bool {
        self.kind != Kind::View || self.layers.is_empty()
    }
}

#[cfg(test)]
mod tests;
