//! Tests of the real shim through its socket, with a busybox root and without any service. They need root, cgroups
//! and busybox-static.

#![allow(clippy::disallowed_methods, reason = "the work of a test ends with it")]

mod shim;

mod attaching;
mod events;
mod execs;
mod failures;
mod idmaps;
mod lifecycle;
mod logs;
mod protocol;
mod runtimes;
mod sandboxes;
mod terminals;
