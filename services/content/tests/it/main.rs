//! The content service through its sockets: containerd's contract, the data socket, the collector, and what a crash
//! leaves.

#![allow(clippy::disallowed_methods, reason = "the work of a test ends with it")]

mod blobs;
mod collector;
mod crash;
mod data;
mod far;
mod full_disk;
mod harness;
mod kept;
mod writes;
