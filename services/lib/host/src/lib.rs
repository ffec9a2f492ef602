//! The kernel: mounts, paths inside a root, cgroups, trees of files, the process itself.
//!
//! What services ask the kernel about mounts and about files that others own, they ask through this crate, so that raw
//! descriptors, flags and `unsafe` can be read in one place. Nothing here knows a service, a protocol or an asynchronous
//! runtime: all calls block, and callers put them on a blocking pool.
//!
//! | module | asks the kernel for |
//! | --- | --- |
//! | [`mount`] | mounts in containerd's form, attached or detached, and the mount table |
//! | [`root`] | paths that can never leave a root directory (`openat2(RESOLVE_IN_ROOT)`) |
//! | [`process`] | the process's own time, umask and limits |
//! | [`apparmor`] | profiles: which are loaded, and loading the one of containers |
//! | [`cgroup`] | cgroups v1 and v2: statistics, listing, removal |
//! | [`memory`] | the process's own heap, trimmed |
//! | [`fs`] | usage, copies and removal of whole trees |
//!
//! `unsafe` lives in `mount::attributes` and `memory` alone.

pub mod apparmor;
pub mod cgroup;
mod error;
pub mod fs;
pub mod memory;
pub mod mount;
pub mod process;
pub mod root;

pub use error::{Error, Result};
