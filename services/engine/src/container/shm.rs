//! `/dev/shm` of containers that share it.
//!
//! By default a container has a tmpfs of its own there, which disappears with its mount namespace. The tmpfs of a
//! container that others may join (`--ipc shareable`) is mounted in the container's directory on the host while the
//! container runs, and the others bind it.

use std::path::PathBuf;
use std::sync::Arc;

use gantry_api::engine::HostConfig;
use gantry_mount::{self as mount, Mount};

use super::Container;
use super::mode::IpcMode;
use crate::blocking::blocking;
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::paths::Paths;
use crate::record::Record;
use crate::spec;

/// The host's `/dev/shm`.
const HOST: &str = "/dev/shm";

/// The `/dev/shm` of containers. Cheap to clone.
#[derive(Clone)]
pub struct Shm {
    containers: Containers,
    paths: Paths,
}

impl Shm {
    /// The `/dev/shm` of these containers, below these paths.
    pub fn new(containers: &Containers, paths: &Paths) -> Shm {
        Shm { containers: containers.clone(), paths: paths.clone() }
    }

    /// The directory that is bound at `/dev/shm` of a container that is about to start; `None` for a tmpfs of its
    /// own.
    pub(crate) async fn of(&self, record: &Record) -> Result<Option<PathBuf>> {
        match IpcMode::of(&record.host.ipc_mode) {
            IpcMode::Shareable => self.provide(record).await.map(Some),
            IpcMode::Host => Ok(Some(PathBuf::from(HOST))),
            IpcMode::Container(other) => self.shared(&self.containers.find(other)?.record()).map(Some),
            IpcMode::Own | IpcMode::None => Ok(None),
        }
    }

    /// The `/dev/shm` of a container that others join, which may have joined a third container itself.
    fn shared(&self, donor: &Record) -> Result<PathBuf> {
        let mut owner = Arc::new(donor.clone());
        loop {
            match IpcMode::of(&owner.host.ipc_mode) {
                IpcMode::Shareable => return Ok(self.paths.shm(&owner.id)),
                IpcMode::Host => return Ok(PathBuf::from(HOST)),
                IpcMode::Container(other) => owner = self.containers.find(other)?.record(),
                IpcMode::Own | IpcMode::None => {
                    return Err(Error::Invalid(format!(
                        "failed to join IPC namespace: container {}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
                        donor.id
                    )));
                }
            }
        }
    }

    /// Mounts a new tmpfs, in place of one that an earlier run has left.
    async fn provide(&self, record: &Record) -> Result<PathBuf> {
        let place = self.paths.shm(&record.id);
        let size = format!("size={}", spec::shm_size(&record.host));
        let options = ["nosuid", "nodev", "noexec", "mode=1777", &size].map(str::to_owned).to_vec();
        let shm =
            Mount { fs_type: "tmpfs".to_owned(), source: "shm".to_owned(), options, ..Mount::bind("", true) };
        let at = place.clone();
        blocking(move || {
            mount::detach_all(&at).map_err(crate::root::kernel)?;
            std::fs::create_dir_all(&at).map_err(|source| Error::io("create directory", &at, source))?;
            shm.mount(&at).map_err(crate::root::kernel)
        })
        .await?;
        Ok(place)
    }

    /// Unmounts the tmpfs after a run. A container that has joined it keeps it until its own end.
    pub(crate) async fn release(&self, container: &Container) {
        if !is_shareable(&container.record().host) {
            return;
        }
        let place = self.paths.shm(container.id());
        let released = blocking(move || mount::detach_all(&place).map_err(crate::root::kernel));
        if let Err(error) = released.await {
            tracing::warn!(container = %container.id(), error = %gantry_rpc::chain(&error), "shared memory stays mounted");
        }
    }
}

fn is_shareable(host: &HostConfig) -> bool {
    IpcMode::of(&host.ipc_mode) == IpcMode::Shareable
}
