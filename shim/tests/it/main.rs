//! The real shim, driven over its socket with a busybox root and without any service.
//! Needs root, cgroups and busybox-static.

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
