//! Cgroups, v1, v2 and both at once: where they are, what they have used, and their removal.
//!
//! A cgroup is named by its path from the root of the hierarchies (`/moby/<id>`), the same in all of them.

mod hierarchies;
mod stats;

pub use gantry_host::{Error, Result};
pub use hierarchies::{Hierarchies, Version};
pub use stats::{Cpu, Io, IoEntry, Memory, Pids, Stats};
