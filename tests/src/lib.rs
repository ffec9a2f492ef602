//! The harness of the end-to-end tests: a whole Gantry in a temporary root and a network namespace of its own, with
//! clients that others wrote.
//!
//! - [`Node`]: one Gantry; dropping it takes it down, and fails the test if anything is left;
//! - [`sides`]: the same test on it and, where `GANTRY_REFERENCE` names one, on the reference;
//! - [`Outcome`] and [`Client`]: a finished command, and a running one; a command that hangs is killed;
//! - [`Registry`]: Debian's `docker-registry` in the node's network;
//! - [`Liar`]: a registry there that misbehaves;
//! - [`Containerd`]: a stock containerd beside the node;
//! - [`SmallDisk`]: a file system for a node's root that can be filled;
//! - [`plugin`]: plugins by Docker's protocol, served by a test or run as programs;
//! - `logs`: what services may log at WARN and ERROR;
//! - [`points`]: the failpoints of the services;
//! - [`image`]: root file systems and images, made of the host's own busybox.
//!
//! `GANTRY_BIN` names the directory with `gantry`, `gantryd` and the shim; `CARGO_TARGET_DIR/clients` has the docker,
//! ctr and containerd of Debian's packages; `GANTRY_CONTAINERD` names another containerd. A test that lacks one of
//! them fails: no test is skipped.

mod client;
mod containerd;
pub mod image;
pub mod leaks;
mod liar;
mod logs;
mod node;
mod outcome;
pub mod plugin;
pub mod points;
mod registry;
mod side;
mod small_disk;

pub use client::Client;
pub use containerd::Containerd;
pub use liar::{Answer, Asked, Liar};
pub use node::{Node, Setup, binary, json_lines, kill, runs};
pub use outcome::Outcome;
pub use registry::{Registry, Security};
pub use side::{Hijacked, Side, sides};
pub use small_disk::SmallDisk;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Waits until `check` returns a value; panics with its last error after `limit`.
pub fn eventually<T>(what: &str, limit: Duration, mut check: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        match check() {
            Ok(value) => return value,
            Err(complaint) if Instant::now() > deadline => {
                panic!("{what}: still not after {limit:?}: {complaint}")
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// The directory of the build's products.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => folder.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target"),
    }
}
