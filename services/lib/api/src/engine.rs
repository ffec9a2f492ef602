//! What engine promises: containers as Docker's users know them, their execs and volumes.
//!
//! What it promises of [`volumes`] is code here; of containers and execs, their types.
//!
//! Field names and meanings are those of the Docker Engine API. Durations are nanoseconds and sizes bytes, unless a field
//! says otherwise.

mod archive;
mod changes;
mod config;
mod convert;
mod create;
mod endpoint;
mod exec;
mod host;
mod info;
mod list;
mod log;
mod mount;
mod resources;
mod run;
mod stats;
mod status;
mod view;
mod volume;
pub mod volumes;

pub use archive::{PathStat, PutSpec};
pub use changes::{Change, ChangeKind};
pub use config::{ContainerConfig, HealthConfig};
pub use create::{CreateSpec, Created, Update};
pub use endpoint::EndpointSettings;
pub use exec::{Exec, ExecSpec};
pub use host::{HostConfig, LogConfig, PortBinding, RestartPolicy};
pub use info::{ImageUse, Info};
pub use list::{Filter, ListQuery, Listing, Pruned, Top};
pub use log::LogQuery;
pub use mount::{BindOptions, Mount, MountPoint, TmpfsOptions, VolumeOptions};
pub use resources::{DeviceMapping, DeviceRequest, Resources, ThrottleDevice, Ulimit, WeightDevice};
pub use run::{AttachPoint, AttachSpec, CommitSpec, Condition, Exit, Opened, RemoveSpec, StopSpec, Window};
pub use stats::{Blkio, Interface, Sample};
pub use status::Status;
pub use view::{Container, ContainerSummary, Health, HealthResult, NamedEndpoint, PublishedPort, State};
pub use volume::{Volume, VolumeSpec};
