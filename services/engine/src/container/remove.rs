//! Removes a container: writes the intent, removes everything that belongs to the container, then deletes the record.
//!
//! The same steps undo a creation that failed, and recovery repeats them after a crash; each step succeeds if it is
//! already done.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use gantry_api::engine::{RemoveSpec, Status};
use gantry_failpoint::failpoint;
use gantry_types::Signal;

use super::Container;
use super::kill::{send_signal, thaw};
use super::life::{Life, Then};
use crate::blocking::blocking;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::{Record, Stage};

/// Which volumes are removed with a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volumes {
    /// None.
    Keep,
    /// The anonymous ones.
    Anonymous,
}

impl Engine {
    /// Removes a container at a user's request.
    pub async fn remove(&self, request: &RemoveSpec) -> Result<()> {
        if request.link {
            return self.files.remove_link(&request.container).await;
        }
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
            thaw(&self.peers.tasks, container).await?;
        }
        container.change(|life| {
            life.stop_by_hand();
            life.want(Then::Remove)
        })?;
        match send_signal(&self.peers.tasks, &self.events, container, Signal::KILL).await {
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
        let task = async {
            self.end_task(container).await?;
            failpoint!("engine.remove.ended");
            Ok(())
        };
        tokio::try_join!(task, self.peers.networks.detach(container.id())).map(drop)
    }

    /// Takes away what nothing uses any more. If this fails, it is retried, because the engine's record still exists.
    async fn take_away(&self, container: &Arc<Container>, volumes: Volumes) -> Result<()> {
        let record = container.record();
        let id = container.id();
        failpoint!("engine.remove.recorded");
        tokio::try_join!(
            self.peers.snapshots.remove(&record.snapshotter, id),
            self.peers.records.delete(id),
        )?;
        failpoint!("engine.remove.detached");
        self.release_shm(container).await;
        self.remove_views(&record).await?;
        if volumes == Volumes::Anonymous {
            // Before the record is deleted, because only the record names these volumes.
            self.remove_anonymous_volumes(&record).await;
        }
        failpoint!("engine.remove.emptied");
        let directory = self.put_away(id)?;
        failpoint!("engine.remove.away");
        self.containers.store.delete(id, &container.execs.ids()).await?;
        failpoint!("engine.remove.forgotten", infallible);
        container.execs.clear();
        if record.host.auto_remove {
            self.containers.tombstones.put(id, container.life().past().exit_code);
        }
        self.containers.index.remove(id);
        self.containers.rename_children(&record.links);
        container.change(Life::removed)?;
        // If this is interrupted, recovery finishes it.
        let id = id.to_owned();
        self.spawn("remove a container's files", async move {
            let removed = blocking(move || gantry_rooted::tree::remove_tree(&directory).map_err(crate::root::kernel));
            if let Err(error) = removed.await {
                tracing::warn!(container = %id, error = %gantry_rpc::chain(&error), "container's files stay for recovery");
            }
        });
        Ok(())
    }

    /// Moves a container's files to a place from which a start may remove them. A start could not tell them from the
    /// files of a container whose record is lost otherwise.
    fn put_away(&self, id: &str) -> Result<PathBuf> {
        let (home, away) = (self.paths.container(id), self.paths.removed(id));
        match std::fs::rename(&home, &away) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("move away", home, source))
            }
            _ => Ok(away),
        }
    }

    async fn remove_anonymous_volumes(&self, record: &Record) {
        for mount in record.mounts.iter().filter(|mount| mount.anonymous) {
            let users = |name: &str| {
                let mut others = self.volume_users(name);
                others.retain(|user| *user != record.id);
                others
            };
            match self.volumes.remove(&mount.point.name, users).await {
                Ok(driver) => self.events.publish_volume(&mount.point.name, &driver, "destroy"),
                Err(Error::NoSuchVolume(_) | Error::VolumeInUse { .. }) => {}
                Err(error) => {
                    tracing::warn!(volume = %mount.point.name, error = %gantry_rpc::chain(&error), "anonymous volume stays");
                }
            }
        }
    }

    /// Ids of the containers that have a volume.
    pub(crate) fn volume_users(&self, name: &str) -> Vec<String> {
        let has = |record: &Record| {
            record.mounts.iter().any(|mount| mount.point.r#type == "volume" && mount.point.name == name)
        };
        self.containers
            .all()
            .iter()
            .filter(|container| has(&container.record()))
            .map(|container| container.id().to_owned())
            .collect()
    }
}
