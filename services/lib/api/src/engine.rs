//! The interface to the engine: containers as users of Docker know them, their execs and volumes.
//!
//! Each part of the interface is a module: [`containers`], with their logs and files ([`containers::data`]),
//! [`execs`], [`volumes`], and the engine as a whole ([`system`]).
//! [`volumes`], and the engine as a whole ([`system`]).
//!
//! Names and meanings of fields are those of the Docker Engine API. Durations are nanoseconds and sizes bytes, unless
//! a field says otherwise.

mod archive;
mod attach;
mod changes;
mod config;
pub mod containers;
mod convert;
mod create;
mod endpoint;
mod event;
mod exec;
pub mod execs;
mod host;
mod info;
mod list;
mod log;
mod mount;
mod resources;
mod run;
mod stats;
mod status;
pub mod system;
mod view;
mod volume;
pub mod volumes;

pub use archive::{PathStat, PutSpec};
pub use attach::{Streams, receive_attachment};
pub use changes::{Change, ChangeKind};
pub use config::{ContainerConfig, HealthConfig};
pub use create::{CreateSpec, Created, Update};
pub use endpoint::EndpointSettings;
pub use event::{Event, EventQuery};
pub use exec::{Exec, ExecSpec};
pub use host::{HostConfig, LogConfig, PortBinding, RestartPolicy};
pub use info::{ImageUse, Info};
pub use list::{Filter, ListQuery, Listing, Pruned, Top};
pub use log::LogQuery;
pub use mount::{BindOptions, Mount, MountPoint, TmpfsOptions, VolumeOptions};
pub use resources::{DeviceMapping, DeviceRequest, Resources, ThrottleDevice, Ulimit, WeightDevice};
pub use run::{AttachPoint, AttachSpec, CommitSpec, Condition, Exit, Opened, RemoveSpec, StopSpec, Window};
pub use stats::{Blkio, Interface, Sample, Stats};
pub use status::Status;
pub use view::{Container, ContainerSummary, Health, HealthResult, NamedEndpoint, PublishedPort, State};
pub use volume::{Volume, VolumeSpec};
