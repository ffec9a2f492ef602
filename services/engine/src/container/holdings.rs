//! What a run of a container has outside of its process: its task, its network namespace, its `/dev/shm`, and the
//! volumes that are mounted for it. A start takes these one by one. What ends, undoes or removes a run gives them
//! back, whichever of them exist.

use std::sync::Arc;
use std::time::Duration;

use gantry_api::network::Netns;
use gantry_types::Signal;

use super::Container;
use super::network::netns_spec;
use super::shm::Shm;
use crate::error::Result;
use crate::peers::{Networks, Peers, Tasks};
use crate::record::Record;
use crate::volumes::held::Mounts;

/// How long to wait for the end of a process that is killed with its task.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// Takes what runs of containers have, and gives it back. Cheap to clone.
#[derive(Clone)]
pub struct Holdings {
    tasks: Tasks,
    networks: Networks,
    shm: Shm,
    mounts: Mounts,
}

impl Holdings {
    /// What runs have in these services, and of these mounts.
    pub fn new(peers: &Peers, shm: &Shm, mounts: &Mounts) -> Holdings {
        let (tasks, networks) = (peers.tasks.clone(), peers.networks.clone());
        Holdings { tasks, networks, shm: shm.clone(), mounts: mounts.clone() }
    }

    /// Mounts a container's volumes, and returns its record with the present paths of plugins' volumes. The caller
    /// must [release](Self::release) them, even if this fails.
    pub(crate) async fn mount(&self, record: Arc<Record>) -> Result<Arc<Record>> {
        self.mounts.hold(record).await
    }

    /// Makes a container's network namespace and connects it to its networks; `None` for a container that has none of
    /// its own. The caller must [end](Self::end) it, even if this fails.
    pub(crate) async fn attach(&self, record: &Record) -> Result<Option<Netns>> {
        match netns_spec(record)? {
            Some(spec) => self.networks.attach(spec).await.map(Some),
            None => Ok(None),
        }
    }

    /// Enters a container that was found running as a user of its volumes.
    pub(crate) fn expect(&self, record: &Record) -> Result<()> {
        self.mounts.expect(record)
    }

    /// Kills and deletes a task in any state, and removes the network namespace. Neither waits for the other, and if
    /// one fails, the other is carried out all the same.
    pub(crate) async fn end(&self, container: &Container) -> Result<()> {
        let (task, network) = tokio::join!(self.end_task(container), self.networks.detach(container.id()));
        if let (Err(_), Err(error)) = (&task, &network) {
            tracing::warn!(container = %container.id(), error = %gantry_rpc::chain(error), "a network stays with its task");
        }
        task.and(network)
    }

    /// Deletes the task of a process that has ended, and removes the network namespace.
    pub(crate) async fn delete(&self, container: &Container) -> Result<()> {
        self.tasks.delete(container.task()).await?;
        self.networks.detach(container.id()).await
    }

    /// Unmounts `/dev/shm` and the volumes that nobody else uses. What cannot be unmounted is logged.
    pub(crate) async fn release(&self, container: &Container) {
        self.shm.release(container).await;
        self.mounts.release(container).await;
    }

    /// Kills and deletes a task in any state.
    pub(crate) async fn end_task(&self, container: &Container) -> Result<()> {
        match self.tasks.delete(container.task()).await {
            Ok(()) => return Ok(()),
            Err(error) if error.peer_code() == Some(tonic::Code::Unavailable) => return Err(error),
            Err(_) => {}
        }
        // The process may run. If it has ended, the deletion succeeds.
        let init = container.init();
        let _ = self.tasks.kill(&init, Signal::KILL).await;
        let _ = tokio::time::timeout(KILL_PATIENCE, self.tasks.wait(&init)).await;
        self.tasks.delete(container.task()).await
    }
}
