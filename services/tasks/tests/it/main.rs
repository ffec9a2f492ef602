//! The tasks service over its socket, with a fake shim and a fake `control`.

#![allow(clippy::disallowed_methods, reason = "the work of a test ends with it")]

mod containers;
mod lifecycle;
mod recovery;
mod sandboxes;
mod shim;
mod world;
