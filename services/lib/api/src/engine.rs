//! What engine promises: containers as Docker's users know them, their execs and volumes.
//!
//! Field names and meanings are those of the Docker Engine API. Durations are nanoseconds and sizes bytes, unless a field
//! says otherwise.

mod config;
mod convert;
mod create;
mod endpoint;
mod exec;
mod host;
mod mount;
mod resources;
mod status;

pub use config::{ContainerConfig, HealthConfig};
pub use create::{CreateSpec, Created, Update};
pub use endpoint::EndpointSettings;
pub use exec::ExecSpec;
pub use host::{HostConfig, LogConfig, PortBinding, RestartPolicy};
pub use mount::{BindOptions, Mount, MountPoint, TmpfsOptions, VolumeOptions};
pub use resources::{DeviceMapping, DeviceRequest, Resources, ThrottleDevice, Ulimit, WeightDevice};
pub use status::Status;
