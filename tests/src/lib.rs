//! The harness of the end-to-end tests: a whole Gantry in a temporary root and
//! a network namespace of its own, driven by clients that nobody here wrote.
//!
//! - [`Node`]: one Gantry; when it is dropped it is taken down, and the test fails if anything is left;
//! - [`sides`]: the same test on it and, where `GANTRY_REFERENCE` names one, on the reference;
//! - [`Outcome`] and [`Client`]: a command that was run, and one that runs; both are killed when they hang;
//! - [`Registry`]: Debian's `docker-registry` in the node's network;
//! - [`Liar`]: a registry there that misbehaves as it is told to;
//! - [`Containerd`]: a stock containerd beside it;
//! - [`SmallDisk`]: a file system of its own for a node's root, which can be filled;
//! - [`points`]: where the services can be made to fail;
//! - [`image`]: root file systems and images, made on the spot from the machine's own busybox.
//!
//! `GANTRY_BIN` names the folder with `gantry`, `gantryd` and the shim;
//! `CARGO_TARGET_DIR/clients` has the docker, ctr and containerd of Debian's
//! packages; `GANTRY_CONTAINERD` names another containerd. A test that lacks one of them fails: nothing is skipped.

mod client;
mod containerd;
pub mod image;
mod leaks;
mod liar;
mod node;
mod outcome;
pub mod points;
mod registry;
mod side;
mod small_disk;

pub use client::Client;
pub use containerd::Containerd;
pub use liar::{Answer, Asked, Liar};
pub use node::{Node, Setup, binary, json_lines, kill};
pub use outcome::Outcome;
pub use registry::{Registry, Security};
pub use side::{Hijacked, Side, sides};
pub use small_disk::SmallDisk;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Waits until `check` gives a value; panics with its last complaint after `limit`.
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

/// The folder of the build's products.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => folder.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target"),
    }
}
