//! `gantry backup`: copies the records of all services as they were at one moment, and restores them.
//!
//! ```text
//! <backup>/backup.json            what it is; written last
//! <backup>/<service>/db/          a service's database
//! <backup>/control/uuid
//! <backup>/content/blobs/…        with --data, as are the others:
//! <backup>/snapshots/<driver>/snapshots/…
//! <backup>/engine/volumes/… <backup>/engine/containers/…
//! ```
//!
//! All services stop writing before the first one is copied, and go on after the last: so if one service told another something,
//! both copies have it, or neither. The bytes are copied afterwards, while everything runs.

mod create;
mod restore;

use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use gantry_descriptor::SERVICES;
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

pub use create::create;
pub use restore::restore;

/// The name of the file that makes a directory a backup.
const ABOUT: &str = "backup.json";
/// The only version of the format.
const FORM: u32 = 1;

/// The file with Gantry's id.
const IDENTITY: &str = "control/uuid";
/// The end of those of the folders of [`data`] that hold snapshots, and the mark in a snapshot's directory that needs no record:
/// both as the `snapshots` service has them.
const SNAPSHOTS: &str = "/snapshots";
const HALF: &str = "half";

#[derive(Debug, Serialize, Deserialize)]
struct About {
    form: u32,
    /// The version of Gantry that made it.
    gantry: String,
    /// When it was made (RFC 3339).
    moment: String,
    /// Whether it has blobs, layers and volumes.
    data: bool,
}

/// The folders with what records refer to, below the state directory.
fn data() -> impl Iterator<Item = String> {
    SERVICES.iter().flat_map(|service| service.data().iter().map(|part| format!("{}/{part}", service.name)))
}

/// Copies a tree with all its attributes, without what is removed meanwhile.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    let fail = || format!("copy {} to {}", from.display(), to.display());
    std::fs::create_dir_all(to).with_context(fail)?;
    let open = |path: &Path| {
        rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    };
    let (source, target) = (open(from).with_context(fail)?, open(to).with_context(fail)?);
    gantry_rooted::tree::copy_live_tree(source.as_fd(), target.as_fd()).with_context(fail)?;
    Ok(())
}

/// Moves something aside, if it exists; returns where it is now.
fn set_aside(path: &Path, stamp: &str) -> Result<Option<PathBuf>> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".before-{stamp}"));
    let aside = path.with_file_name(name);
    match std::fs::rename(path, &aside) {
        Ok(()) => Ok(Some(aside)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("set {} aside", path.display())),
    }
}

/// Makes everything durable that was written on a file system.
fn sync(path: &Path) -> Result<()> {
    let file = std::fs::File::open(path).with_context(|| format!("open {}", path.display()))?;
    Ok(gantry_rooted::tree::sync_file_system(file)?)
}
