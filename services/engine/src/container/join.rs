//! Namespaces of other containers that a container joins.
//!
//! They are held from the moment at which their container is known to run until the new one has joined them: a number in
//! `/proc` could be another process's by then, and its namespaces the host's.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use gantry_host::process::path_of_own;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::Record;
use crate::root::kernel;
use crate::spec;

/// Others' namespaces, held.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    held: Vec<(&'static str, OwnedFd)>,
}

impl Joined {
    /// Where whoever makes the container finds a namespace while this is kept; none where it has one of its own.
    pub(crate) fn path(&self, kind: &str) -> Option<PathBuf> {
        self.held.iter().find(|(held, _)| *held == kind).map(|(_, namespace)| path_of_own(namespace))
    }
}

impl Engine {
    /// Holds the namespaces that a container's modes name.
    pub(crate) async fn join_others(&self, record: &Record) -> Result<Joined> {
        let mut joined = Joined::default();
        for (kind, mode, what) in [
            ("net", &record.host.network_mode, "network"),
            ("pid", &record.host.pid_mode, "pid namespace"),
            ("ipc", &record.host.ipc_mode, "ipc namespace"),
        ] {
            let Some(other) = spec::of_container(mode) else { continue };
            let other = self.index.find(other)?;
            let init = self.init_of(&other).await.map_err(|error| match error {
                Error::NotRunning(_) => {
                    Error::Conflict(format!("cannot join {what} of a non running container: {}", other.id()))
                }
                other => other,
            })?;
            joined.held.push((kind, init.namespace(kind).map_err(kernel)?));
        }
        Ok(joined)
    }
}
