//! Removing: the intent is written, everything that belongs to the container goes, then the record.
//!
//! The same steps undo a container that could not be made, and recovery repeats them after a crash; each finds itself done.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use gantry_api::engine::{RemoveSpec, Status};
use gantry_failpoint::failpoint;

use super::Container;
use super::create::blocking;
use super::life::{Life, Then};
use super::signal::Signal;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::{Record, Stage};

/// What becomes of the volumes that were made for a container alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volumes {
    /// They stay.
    Keep,
    /// Those without a name go too.
    Anonymous,
}

impl Engine {
    /// Removes a container at a user's request.
    pub async fn remove(&self, request: &RemoveSpec) -> Result<()> {
        if request.link {
            return self.remove_link(&request.container).await;
        }
        let container = self.index.find(&request.container)?;
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
            // One that waits for its restart counts as running.
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
        // Its end is taken in by the monitor, which needs the turn for that.
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
            self.thaw(container).await?;
        }
        container.change(|life| {
            life.stop_by_hand();
            life.want(Then::Remove)
        })?;
        match self.send_signal(container, Signal::KILL).await {
            Ok(()) | Err(Error::NotRunning(_)) => Ok(()),
            Err(error) => {
                container.change(|life| life.withdraw(Then::Remove));
                Err(error)
            }
        }
    }

    /// Removes a container whose run has ended, with its anonymous volumes; the caller has its turn.
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
        let removed = match self.store.put(&record, &state).await {
            Ok(()) => self.unmake(container, volumes).await,
            Err(error) => Err(error),
        };
        if removed.is_err() {
            container.change(Life::fail_removal)?;
            return removed;
        }
        self.publish_container(container, "destroy", BTreeMap::new());
        Ok(())
    }

    /// Takes away everything that a container is; the caller has its turn and has written the intent.
    pub(crate) async fn unmake(&self, container: &Arc<Container>, volumes: Volumes) -> Result<()> {
        let record = container.record();
        let id = container.id();
        failpoint!("engine.remove.recorded");
        let ((), ()) = tokio::try_join!(
            async {
                // The task holds the root mounted; until our own record is gone, what fails here is done again.
                self.end_task(id).await?;
                failpoint!("engine.remove.ended");
                tokio::try_join!(
                    self.peers.remove_snapshot(&record.snapshotter, id),
                    self.peers.delete_record(id),
                )
                .map(drop)
            },
            self.peers.detach(id),
        )?;
        failpoint!("engine.remove.detached");
        self.release_shm(container).await;
        self.remove_views(&record).await?;
        if volumes == Volumes::Anonymous {
            // Nobody would find them any more once the record is gone.
            self.remove_anonymous_volumes(&record).await;
        }
        failpoint!("engine.remove.emptied");
        let directory = self.put_away(id)?;
        failpoint!("engine.remove.away");
        let execs: Vec<String> = container.execs.lock().keys().cloned().collect();
        self.store.delete(id, &execs).await?;
        failpoint!("engine.remove.forgotten", infallible);
        container.execs.lock().clear();
        if record.host.auto_remove {
            self.tombstones.put(id, container.life().past().exit_code);
        }
        self.index.remove(id);
        self.rename_children(&record.links);
        container.change(Life::removed)?;
        // If this is cut short, recovery goes on with it.
        let id = id.to_owned();
        self.spawn("remove a container's files", async move {
            let removed = blocking(move || gantry_rooted::tree::remove_tree(&directory).map_err(crate::root::kernel));
            if let Err(error) = removed.await {
                tracing::warn!(container = %id, error = %gantry_rpc::chain(&error), "container's files stay for recovery");
            }
        });
        Ok(())
    }

    /// Moves a container's files to where a start may remove them: only so can it tell them from those of a container
    /// whose record is lost.
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
                Ok(driver) => self.publish_volume(&mount.point.name, &driver, "destroy"),
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
        self.index
            .all()
            .iter()
            .filter(|container| has(&container.record()))
            .map(|container| container.id().to_owned())
            .collect()
    }
}
