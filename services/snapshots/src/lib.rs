//! The snapshots service: file-system states, and layers applied to and taken from them.
//!
//! It speaks containerd's Snapshots and Diff, and `gantry.snapshots.v1.Unpacker`, by which a pull has its layers
//! unpacked while they arrive. The services that show a container its root (tasks, the engine) ask here for mounts
//! and make them themselves.
//!
//! Invariants: a snapshot exists if and only if it has a record; a committed snapshot is never changed; a layer is
//! committed only when content has proved its blob and we have proved its uncompressed bytes, and all of it is on disk.
//!
//! ```text
//! <state>/snapshots/
//!   db/                     records
//!   overlayfs/, native/     directories, see `driver::layout`
//!   gantry/                 the same, of other containerds (`driver::PLUGIN`)
//! ```
//!
//! Layers come from strangers: archives are read by [`gantry_archive`], which refuses what is ambiguous, and extracted
//! through directory descriptors that cannot be left ([`layer`]).

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "the work of a test ends with it"))]

mod app;
mod backend;
mod diff;
mod driver;
mod error;
mod layer;
mod promise;
mod record;
mod recover;
mod remote;
mod server;
mod settings;
mod store;
mod trash;
mod unpack;

pub use app::{Service, main};
pub use diff::Differ;
pub use error::{Error, Result};
pub use promise::{Snapshots, Snapshotter};
