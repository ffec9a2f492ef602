//! The kernel: mounts, paths inside a root, processes, capabilities, cgroups, trees of files.
//!
//! Every other crate of Gantry asks the kernel through this one (and `gantry-netlink`), so that raw descriptors,
//! flags and `unsafe` can be read in one place. Nothing here knows a service, a protocol or an asynchronous runtime:
//! all calls block, and callers put them on a blocking pool.
//!
//! | module | asks the kernel for |
//! | --- | --- |
//! | [`mount`] | mounts in containerd's form, attached or detached, and the mount table |
//! | [`root`] | paths that can never leave a root directory (`openat2(RESOLVE_IN_ROOT)`) |
//! | [`process`] | processes that cannot be mistaken for others (pidfd, start time) |
//! | [`caps`] | capability sets, the bounding set, `no_new_privs` |
//! | [`cgroup`] | cgroups v1 and v2: statistics, listing, removal |
//! | [`memory`] | the process's own heap, trimmed |
//! | [`fs`] | usage, copies and removal of whole trees |
//!
//! `unsafe` lives in `mount::attributes` and `memory` alone.

pub mod caps;
pub mod cgroup;
mod error;
pub mod fs;
pub mod memory;
pub mod mount;
pub mod process;
pub mod root;

pub use error::{Error, Result};
