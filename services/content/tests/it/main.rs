//! The content service through its sockets: containerd's contract, the data socket, the collector, and what a crash
//! leaves.

mod blobs;
mod collector;
mod crash;
mod data;
mod full_disk;
mod harness;
mod writes;
