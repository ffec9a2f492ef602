//! Removes a container: writes the intent, removes everything that belongs to the container, then deletes the record.
//!
//! The same steps undo a creation that failed, and recovery repeats them after a crash; each step succeeds if it is
//! already done.

mod take;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_api::engine::{RemoveSpec, Status};
use gantry_daemon::Context;
use gantry_failpoint::failpoint;
use gantry_types::Signal;

use super::holdings::Holdings;
use super::kill::{send_signal, thaw};
use super::life::{Life, Phase, Then};
use super::{Container, Turn};
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::paths::Paths;
use crate::peers::{Peers, Records, Snapshots, Tasks};
use crate::record::{Record, Stage};
use crate::retry;

/// Which volumes are removed with a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volumes {
    /// None.
    Keep,
    /// The anonymous ones.
    Anonymous,
}

/// Removes containers. Cheap to clone.
#[derive(Clone)]
pub struct Removal {
    containers: Containers,
    events: Events,
    tasks: Tasks,
    snapshots: Snapshots,
    records: Records,
    holdings: Holdings,
    volumes: Arc<crate::volumes::Volumes>,
    paths: Paths,
    context: Context,
}

impl Removal {
    /// Removes these containers from these services, with their volumes and the files below these paths. Work in the
    /// background ends with the service of `context`.
    pub fn new(
        containers: &Containers,
        events: &Events,
        peers: &Peers,
        holdings: &Holdings,
        volumes: &Arc<crate::volumes::Volumes>,
        paths: &Paths,
        context: &Context,
    ) -> Removal {
        Removal {
            containers: containers.clone(),
            events: events.clone(),
            tasks: peers.tasks.clone(),
            snapshots: peers.snapshots.clone(),
            records: peers.records.clone(),
            holdings: holdings.clone(),
            volumes: Arc::clone(volumes),
            paths: paths.clone(),
            context: context.clone(),
        }
    }

    /// Removes a container at a user's request.
    pub async fn remove(&self, request: &RemoveSpec) -> Result<()> {
        let container = self.containers.find(&request.container)?;
        let volumes = if request.volumes { Volumes::Anonymous } else { Volumes::Keep };
        let mut watch = container.watch();
        {
            let turn = container.operate().await;
            if container.life().is_removed() {
                return Err(Error::NoSuchContainer(request.container.clone()));
            }
            if container.life().is_going() {
                return Err(Error::Conflict(format!(
                    "removal of container {} is already in progress",
                    request.container
                )));
            }
            let running = container.life().has_process();
            let status = container.status();
            // A container that waits for its restart counts as running.
            if (running || status == Status::Restarting) && !request.force {
                let advice = match status {
                    Status::Paused => "container is paused and must be unpaused first".to_owned(),
                    status => format!(
                        "container is {}: stop the container before removing or force remove",
                        status.name()
                    ),
                };
                return Err(Error::Conflict(format!(
                    "cannot remove container \"{}\": {advice}",
                    container.name()
                )));
            }
            if !running {
                return self.remove_with(&container, volumes).await;
            }
            self.begin_kill(&container).await?;
            drop(turn);
        }
        // The monitor takes the end in, and needs the operation lock for it.
        let ended = watch.wait_for(|life| life.is_removed() || !life.has_process());
        let in_time = tokio::time::timeout(super::kill::KILL_PATIENCE, ended).await.is_ok();
        let _turn = container.operate().await;
        if container.life().is_removed() {
            return Ok(());
        }
        if !in_time && container.life().has_process() {
            container.change(|life| life.withdraw(Then::Remove));
            return Err(Error::Conflict(format!(
                "cannot remove container \"{}\": could not kill container: it did not end after it was killed",
                container.name()
            )));
        }
        self.remove_with(&container, volumes).await
    }

    async fn begin_kill(&self, container: &Container) -> Result<()> {
        if container.status() == Status::Paused {
            thaw(&self.tasks, container).await?;
        }
        container.change(|life| {
            life.stop_by_hand();
            life.want(Then::Remove)
        })?;
        match send_signal(&self.tasks, &self.events, container, Signal::KILL).await {
            Ok(()) | Err(Error::NotRunning(_)) => Ok(()),
            Err(error) => {
                container.change(|life| life.withdraw(Then::Remove));
                Err(error)
            }
        }
    }

    /// Removes a container whose run has ended, with its anonymous volumes. The caller must hold the operation lock.
    pub(crate) async fn remove_locked(&self, container: &Arc<Container>) -> Result<()> {
        self.remove_with(container, Volumes::Anonymous).await
    }

    async fn remove_with(&self, container: &Arc<Container>, volumes: Volumes) -> Result<()> {
        let state = container.change(|life| life.remove().map(|()| life.recorded()))?;
        let record = Record {
            stage: Stage::Removing,
            keep_volumes: volumes == Volumes::Keep,
            ..Record::clone(&container.record())
        };
        let written = self.containers.store.put(&record, &state);
        let (written, ended) = if record.host.auto_remove {
            // No other write records how the run ended: until this one is on disk, only the task knows it.
            match written.await {
                Ok(()) => (Ok(()), self.end_all(container).await),
                failed => (failed, Ok(())),
            }
        } else {
            // The end is on record. If the machine stops before the intent is on disk, the container is a stopped one
            // without a task, which it may be anyway.
            tokio::join!(written, self.end_all(container))
        };
        let removed = match written.and(ended) {
            Ok(()) => self.take_away(container, volumes).await,
            Err(error) => Err(error),
        };
        if removed.is_err() {
            container.change(Life::fail_removal)?;
            return removed;
        }
        self.events.publish_container(container, "destroy", BTreeMap::new());
        Ok(())
    }

    /// Removes everything that belongs to a container. The caller must hold the operation lock and have written the
    /// intent.
    pub(crate) async fn unmake(&self, container: &Arc<Container>, volumes: Volumes) -> Result<()> {
        self.end_all(container).await?;
        self.take_away(container, volumes).await
    }

    /// Ends what is left of a container's runs: its task, which holds the root mounted, and its network.
    async fn end_all(&self, container: &Container) -> Result<()> {
        self.holdings.end(container).await?;
        failpoint!("engine.remove.ended");
        Ok(())
    }

    /// Removes in the background a container whose creation failed, as soon as the services that this needs answer.
    pub(crate) fn unmake_later(&self, container: &Arc<Container>) {
        container.change(Life::unmake);
        let (removal, container) = (self.clone(), Arc::clone(container));
        self.context.spawn("unmake a container", async move {
            let turn = container.operate_owned().await;
            removal.finish(&container, turn).await;
        });
    }

    /// Removes a container whose creation or removal was cut short, again and again while a service is away.
    pub(crate) async fn finish(&self, container: &Arc<Container>, mut turn: Turn) {
        let record = container.record();
        let keeps = record.stage == Stage::Removing && record.keep_volumes;
        let volumes = if keeps { Volumes::Keep } else { Volumes::Anonymous };
        // A user may have removed it while this waited for a service.
        while !container.life().is_removed() {
            match self.unmake(container, volumes).await {
                Ok(()) => return,
                Err(error) if error.is_passing() => {}
                Err(error) => {
                    tracing::error!(container = %container.id(), error = %gantry_rpc::chain(&error), "container not removed");
                    if *container.life().phase() == Phase::Removing {
                        // The user can try again to remove the container.
                        let _ = container.change(Life::fail_removal);
                    }
                    return;
                }
            }
            // Requests meanwhile fail because the service is away.
            drop(turn);
            tokio::time::sleep(retry::PAUSE).await;
            turn = container.operate_owned().await;
        }
    }
}
