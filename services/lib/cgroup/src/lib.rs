//! Cgroups of both generations: made, joined, limited, watched and removed.
//!
//! On v2 a container has one directory, on v1 one in each hierarchy. Both are expected where everybody mounts them, below
//! [`ROOT`].
//!
//! | module | for |
//! | --- | --- |
//! | [`Cgroup`] | the directories of one container: who is in them, freezing, killing, figures, removal |
//! | [`v1`] | making and joining a container's directories on v1 |
//! | [`limits`] | an OCI spec's `linux.resources`, written to v1's or v2's files |
//! | [`devices`] | which devices may be used, on v2: a BPF program |
//! | [`Scope`] | a container's cgroup where systemd keeps it |
//! | [`MemoryEvents`] | kills for want of memory, told when they happen |
//!
//! Nothing here knows a service, a protocol or an asynchronous runtime. `unsafe` lives in `bpf` alone.

mod bpf;
mod cgroup;
pub mod devices;
mod error;
pub mod limits;
mod memory;
mod scope;
pub mod v1;

pub use cgroup::{Cgroup, ROOT, field, is_unified};
pub use error::{Error, Result};
pub use memory::{Kills, MemoryEvents};
pub use scope::{Scope, Visit};
