//! Makes the OCI runtime spec of a container, with exactly Docker's defaults.
//!
//! The parameters are a [`Container`]: its process, confinement, mounts and namespaces. [`build`] makes the spec from
//! it and from the host's [`Facts`]; [`exec_process`] makes the spec of an exec's process. Both change nothing, and
//! can be called any number of times. The types are no wire format: each service converts at its edge.
//!
//! - [`Confinement`]: capabilities, seccomp, AppArmor, rlimits, and the options of `--security-opt`;
//! - [`Resources`]: limits and devices;
//! - [`Mount`]: mounts over the root, beside the system's own;
//! - [`environment`]: environment variables;
//! - [`cgroup`], [`sysctls`], [`masked`]: the cgroup path, kernel parameters, masked paths.

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
