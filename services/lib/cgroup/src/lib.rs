//! Cgroups of both versions: made, joined, limited, watched and removed.
//!
//! On v2 a container has one directory, on v1 one in each hierarchy. The hierarchies are expected below [`ROOT`],
//! where every distribution mounts them.
//!
//! | module | contains |
//! | --- | --- |
//! | [`Cgroup`] | the directories of one container: processes, freezing, killing, counters, removal |
//! | [`v1`] | making and joining a container's directories on v1 |
//! | [`limits`] | an OCI spec's `linux.resources`, written to v1's or v2's files |
//! | [`devices`] | the device rules on v2: a BPF program |
//! | [`Scope`] | a container's cgroup as a scope of systemd's |
//! | [`MemoryEvents`] | kills for want of memory, reported when they happen |
//!
//! This crate knows no service, no protocol and no asynchronous runtime. Only `bpf` has `unsafe` code.

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
