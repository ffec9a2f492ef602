//! Overlay: a snapshot is a directory of what differs from those below it.

use std::path::Path;

use gantry_mount::Mount;
use gantry_rooted::Dir;

use super::idmap::IdMap;
use super::layout::{self, Layout};
use crate::Result;
use crate::record::Kind;

/// What a layer may be put on top of costs nothing if overlay does not have to remember where files came from.
const OPTIONS: [&str; 1] = ["index=off"];

pub(super) fn make(layout: &Layout, id: u64, kind: Kind, layers: &[u64]) -> Result<()> {
    if kind == Kind::View && !layers.is_empty() {
        return Ok(());
    }
    layout::make(&layout.fs(id), 0o755)?;
    if kind == Kind::Active {
        layout::make(&layout.work(id), 0o711)?;
    }
    if let Some(below) = layers.first() {
        // The upper directory is the whole file system's root: it belongs to whom the image says, and is open to all,
        // whatever the image says.
        let below = Dir::open(&layout.fs(*below))?.own_stat()?;
        let own = Dir::open(&layout.fs(id))?;
        if (below.uid, below.gid) != (0, 0) {
            own.set_own_owner(below.uid, below.gid)?;
        }
    }
    Ok(())
}

/// The layers are shown as if they belonged to the mapped ids; the upper directory is not, so it has to belong to them.
pub(super) fn map_root(layout: &Layout, id: u64, layers: &[u64], map: &IdMap) -> Result<()> {
    // Without a layer the directory is all there is, and is shown itself.
    let Some(below) = layers.first() else { return Ok(()) };
    let below = Dir::open(&layout.fs(*below))?.own_stat()?;
    let (uid, gid) = map.outside(below.uid, below.gid)?;
    Ok(Dir::open(&layout.fs(id))?.set_own_owner(uid, gid)?)
}

pub(super) fn mounts(layout: &Layout, id: u64, kind: Kind, layers: &[u64]) -> Vec<Mount> {
    match (kind, layers) {
        (Kind::Active, []) => vec![Mount::bind(layout.fs(id).display().to_string(), true)],
        (Kind::Active, layers) => writable(layout, &layout.fs(id), &layout.work(id), layers),
        (_, []) => vec![Mount::bind(layout.fs(id).display().to_string(), false)],
        (_, [only]) => vec![Mount::bind(layout.fs(*only).display().to_string(), false)],
        (_, layers) => vec![overlay(vec![lower(layout, layers)])],
    }
}

pub(super) fn writable(layout: &Layout, upper: &Path, work: &Path, layers: &[u64]) -> Vec<Mount> {
    if layers.is_empty() {
        return vec![Mount::bind(upper.display().to_string(), true)];
    }
    let options = vec![
        format!("workdir={}", work.display()),
        format!("upperdir={}", upper.display()),
        lower(layout, layers),
    ];
    vec![overlay(options)]
}

fn lower(layout: &Layout, layers: &[u64]) -> String {
    let names: Vec<String> = layers.iter().map(|id| layout.fs(*id).display().to_string()).collect();
    format!("lowerdir={}", names.join(":"))
}

fn overlay(mut options: Vec<String>) -> Mount {
    options.extend(OPTIONS.map(str::to_owned));
    Mount { fs_type: "overlay".into(), source: "overlay".into(), target: String::new(), options }
}
