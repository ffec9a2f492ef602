//! Namespaces of other containers that a container joins.
//!
//! The engine keeps them open from the moment at which their container is known to run until the new container has
//! joined them. Without that, a process id in `/proc` could by then belong to another process, whose namespaces may
//! be the host's.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use gantry_host::process::path_of_own;

use super::Container;
use super::mode::container_of;
use super::pinned::init_of;
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::peers::Tasks;
use crate::record::Record;
use crate::root::kernel;

/// Open namespaces of other containers.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    held: Vec<(&'static str, OwnedFd)>,
}

impl Joined {
    /// The path at which the container's creator finds a namespace while this value exists; `None` if the container
    /// has its own.
    pub(crate) fn path(&self, kind: &str) -> Option<PathBuf> {
        self.held.iter().find(|(held, _)| *held == kind).map(|(_, namespace)| path_of_own(namespace))
    }
}

/// Opens the namespaces that a container's modes name.
pub(crate) async fn join_others(containers: &Containers, tasks: &Tasks, record: &Record) -> Result<Joined> {
    let mut joined = Joined::default();
    for (kind, mode) in
        [("net", &record.host.network_mode), ("pid", &record.host.pid_mode), ("ipc", &record.host.ipc_mode)]
    {
        let Some(other) = container_of(mode) else { continue };
        let init = match containers.find(other) {
            Ok(other) => init_of(tasks, &other).await.map_err(|error| not_joined(kind, &other, error))?,
            Err(error) if kind == "net" => return Err(error),
            Err(error) => return Err(not_joined_at_all(kind, &error)),
        };
        joined.held.push((kind, init.namespace(kind).map_err(kernel)?));
    }
    Ok(joined)
}

/// Docker's words for a namespace whose container does not run.
fn not_joined(kind: &str, other: &Container, error: Error) -> Error {
    match error {
        Error::NotRunning(_) if kind == "net" => Error::Conflict(format!(
            "cannot join network namespace of a non running container: container {} is {}",
            other.name(),
            other.status().name()
        )),
        Error::NotRunning(_) => not_joined_at_all(kind, &error),
        other => other,
    }
}

fn not_joined_at_all(kind: &str, error: &Error) -> Error {
    Error::Conflict(format!("failed to join {} namespace: {error}", kind.to_uppercase()))
}
