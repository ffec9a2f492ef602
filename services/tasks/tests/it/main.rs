//! The tasks service over its socket, with a fake shim and a fake `control`.

mod containers;
mod lifecycle;
mod recovery;
mod sandboxes;
mod shim;
mod world;
