//! From what somebody wants to run to the OCI runtime specification of its process: Docker's defaults, exactly.
//!
//! Who wants a container says so as a [`Container`]: its processes, what confines them, what is mounted, and whose
//! namespaces it is in. [`build`] makes the specification of it, from that and from what the machine has ([`Facts`]);
//! [`exec_process`] makes that of a further process. Nothing is changed on the way, so that a specification can be made as
//! often as one likes. The types here are nobody's wire format: each service converts at its edge.
//!
//! - [`Confinement`]: capabilities, seccomp, AppArmor, rlimits, and what `--security-opt` says of them;
//! - [`Resources`]: limits, and the devices that may be used;
//! - [`Mount`]: what is mounted over the root, beside the system's own;
//! - [`environment`]: variables, one list laid over another;
//! - [`cgroup`], [`sysctls`], [`masked`]: where the cgroup is, kernel parameters, hidden paths.

mod capabilities;
pub mod cgroup;
mod confinement;
mod container;
mod devices;
pub mod environment;
mod error;
mod facts;
pub mod masked;
mod mounts;
mod process;
mod resources;
mod seccomp;
mod security;
pub mod sysctls;

pub use capabilities::normalise as normalise_capability;
pub use confinement::{Confinement, Rlimit, rlimit_name};
pub use container::{Container, GROUPS_ANNOTATION, Namespace, Namespaces, Shm, USER_ANNOTATION, build};
pub use devices::Device;
pub use error::{Error, Result};
pub use facts::Facts;
pub use mounts::{Access, Bind, DEFAULT_SHM, Mount, RuntimeFiles, Source};
pub use process::{Exec, Process, Window, exec_process};
pub use resources::{BlockRate, BlockWeight, Resources, linux_resources};
pub use security::{Seccomp, Security};
