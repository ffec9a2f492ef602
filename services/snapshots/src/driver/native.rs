//! Native: a snapshot is a whole copy of its parent, for file systems that overlay does not take.

use std::path::Path;

use gantry_mount::Mount;
use gantry_rooted::Dir;
use gantry_rooted::tree::copy_tree;

use super::layout::{self, Layout};
use crate::Result;
use crate::record::Kind;

pub(super) fn make(layout: &Layout, id: u64, kind: Kind, layers: &[u64]) -> Result<()> {
    if kind == Kind::View && !layers.is_empty() {
        return Ok(());
    }
    layout::make(&layout.fs(id), 0o755)?;
    match layers.first() {
        Some(below) if std::fs::read_dir(layout.fs(id)).is_ok_and(|mut entries| entries.next().is_none()) => {
            layout.begin(id)?;
            copy(&layout.fs(*below), &layout.fs(id))?;
            // After a power cut nobody could tell half a copy from a whole one that was changed.
            Ok(gantry_rooted::tree::sync_file_system(Dir::open(&layout.fs(id))?)?)
        }
        _ => Ok(()),
    }
}

pub(super) fn mounts(layout: &Layout, id: u64, kind: Kind, layers: &[u64]) -> Vec<Mount> {
    let (id, writable) = match (kind, layers.first()) {
        (Kind::Active, _) => (id, true),
        (_, Some(below)) => (*below, false),
        (_, None) => (id, false),
    };
    vec![Mount::bind(layout.fs(id).display().to_string(), writable)]
}

pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    let (from, to) = (Dir::open(from)?, Dir::open(to)?);
    copy_tree(std::os::fd::AsFd::as_fd(&from), std::os::fd::AsFd::as_fd(&to))?;
    Ok(())
}
