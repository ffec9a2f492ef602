//! The start of the engine: it brings its records, the other services and the kernel in line.
//!
//! 1. Containers that were being created or removed are removed.
//! 2. Each other container is compared with the tasks service: one that runs is watched again; one that has ended
//!    meanwhile gets its own exit status, and is restarted if its policy says so.
//! 3. Parts of containers that have no record are reported and left alone ([`crate::strays`]): a removal deletes the
//!    record last, so a missing record is lost. Only directories that a removal has moved away, and network namespaces
//!    without processes, are removed.
//!
//! Names and records are available at once. Each container is reconciled on its own, under its operation lock, and
//! again until the services that it needs are there.

use std::sync::Arc;
use std::time::Duration;

use crate::blocking::blocking;
use crate::container::Container;
use crate::container::create::containerd_labels;
use crate::container::life::{Illegal, Life, Pause, Phase, Running};
use crate::container::remove::Volumes;
use crate::container::start::By;
use crate::container::validate::policy_of;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::exec::Exec;
use crate::health::Health;
use crate::paths::Paths;
use crate::peers::{Exit, Task};
use crate::record::{Record, Stage};
use crate::strays::parts;
use crate::time;

/// Time between attempts to reach a service.
const RETRY: Duration = Duration::from_millis(250);
/// How long a container waits for those that it is linked to, which start at the same time.
const LINKED: Duration = Duration::from_secs(30);

impl Engine {
    /// Fills the index and begins to reconcile; returns once every name is known.
    pub async fn recover(&self) -> Result<()> {
        let mut containers = Vec::new();
        for (record, life) in self.containers.store.containers().await? {
            if let Err(error) = self.containers.index.reserve(&record.name, &record.id) {
                tracing::error!(container = %record.id, %error, "two containers have one name");
            }
            let half_made = record.stage != Stage::Ready;
            if life.has_process() {
                self.volumes.expect(&crate::volumes::held::elsewhere(&record.mounts), &record.id)?;
            }
            let probed = life.past().started_at != 0 && crate::container::health::check_of(&record).is_some();
            let container = Arc::new(Container::new(record, life, self.containers.index.generation())?);
            container.change(|life| life.health = probed.then(Health::unprobed));
            if half_made {
                container.change(Life::unmake);
            }
            self.containers.index.insert(Arc::clone(&container));
            containers.push(container);
        }
        for container in &containers {
            self.containers.rename_children(&container.record().links);
        }
        let mut orphans = Vec::new();
        for exec in self.containers.store.execs().await? {
            match self.containers.find(&exec.container) {
                Ok(container) => {
                    container.execs.insert(Arc::new(Exec::restore(exec)?));
                }
                Err(_) => orphans.push(exec.id),
            }
        }
        if let Err(error) = self.containers.store.delete_execs(&orphans).await {
            tracing::warn!(error = %gantry_rpc::chain(&error), "execs of containers that are gone are not forgotten");
        }
        for container in &containers {
            // Also for a container that has ended, because lines may be left to send.
            self.logs.ship(container, None).await;
        }
        for container in containers {
            // The lock is taken before any request can arrive.
            let engine = self.clone();
            let (taken, begun) = tokio::sync::oneshot::channel();
            self.spawn("reconcile a container", async move { engine.reconcile(&container, taken).await });
            // An error means that the service ends, so no request arrives.
            let _ = begun.await;
        }
        let engine = self.clone();
        self.spawn("look around", async move { engine.look_around().await });
        Ok(())
    }

    /// Removes a container whose creation failed because a service was away, once that service is back.
    pub(crate) fn unmake_later(&self, container: &Arc<Container>) {
        container.change(Life::unmake);
        let (engine, container) = (self.clone(), Arc::clone(container));
        let taken = tokio::sync::oneshot::channel().0;
        self.spawn("unmake a container", async move { engine.reconcile(&container, taken).await });
    }

    async fn reconcile(&self, container: &Arc<Container>, taken: tokio::sync::oneshot::Sender<()>) {
        let mut taken = Some(taken);
        loop {
            let turn = container.operate().await;
            if let Some(taken) = taken.take() {
                let _ = taken.send(());
            }
            // The container may have been removed or started while this waited for a service.
            if container.life().is_removed() || container.life().run() != 0 {
                return;
            }
            match self.try_reconcile(container).await {
                Ok(()) => return,
                Err(error) if error.is_passing() => {}
                Err(error) => {
                    tracing::error!(container = %container.id(), error = %gantry_rpc::chain(&error), "container not reconciled");
                    if *container.life().phase() == Phase::Removing {
                        // The user can try again to remove the container.
                        let _ = container.change(Life::fail_removal);
                    }
                    return;
                }
            }
            // Requests meanwhile fail because the service is away.
            drop(turn);
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn try_reconcile(&self, container: &Arc<Container>) -> Result<()> {
        let record = container.record();
        match record.stage {
            Stage::Removing if record.keep_volumes => return self.unmake(container, Volumes::Keep).await,
            Stage::Creating | Stage::Removing => return self.unmake(container, Volumes::Anonymous).await,
            Stage::Ready => {}
        }
        match self.peers.tasks.get(&container.init()).await? {
            Task::Running(pid) => self.adopt(container, &record, pid, Pause::No).await,
            // A commit had frozen the container.
            Task::Paused(pid) if container.life().is_recorded_as_running() => {
                self.peers.tasks.resume(container.task()).await?;
                self.adopt(container, &record, pid, Pause::No).await
            }
            Task::Paused(pid) => self.adopt(container, &record, pid, Pause::ByHand).await,
            Task::Stopped(exit) => self.take_in(container, exit).await,
            // An interrupted start: no client was told that the container runs.
            Task::Created => {
                self.end_task(container).await?;
                self.peers.networks.detach(container.id()).await?;
                self.at_rest(container, &record).await
            }
            Task::Absent if container.life().has_process() => {
                // The machine was rebooted, or the shim has died.
                self.take_in(container, Exit { code: 255, at: time::now() }).await
            }
            Task::Absent => {
                self.peers.networks.detach(container.id()).await?;
                self.at_rest(container, &record).await
            }
        }
    }

    /// Watches a running container again. An interrupted change of its networks is undone or finished.
    async fn adopt(&self, container: &Arc<Container>, record: &Record, pid: u32, pause: Pause) -> Result<()> {
        let netns = self.connections.settled_netns(container).await?;
        self.execs.adopt(container).await?;
        self.volumes.expect(&crate::volumes::held::elsewhere(&record.mounts), &record.id)?;
        let before = container.life().recorded();
        let found = Running { pid, pause, netns: netns.map(Arc::new), ..Running::default() };
        let (run, state) = container.change(|life| {
            let run = life.adopt(found, time::now())?;
            life.health = crate::container::health::check_of(record).map(|_| Health::default());
            Ok::<_, Illegal>((run, life.recorded()))
        })?;
        self.monitor(container, run);
        self.probes.watch(container, run);
        if state != before
            && let Err(error) = self.containers.store.put_state(container.id(), &state).await
        {
            tracing::warn!(container = %container.id(), error = %gantry_rpc::chain(&error), "state not recorded");
        }
        tracing::info!(container = %container.id(), pid, "container is still running");
        Ok(())
    }

    /// Takes in the end of a container that ended while no engine ran.
    async fn take_in(&self, container: &Arc<Container>, exit: Exit) -> Result<()> {
        if container.life().has_process() {
            self.ended(container, exit).await;
            self.at_boot(container).await;
            return Ok(());
        }
        // The end is recorded already; only the cleaning up was interrupted.
        self.peers.tasks.delete(container.task()).await?;
        self.peers.networks.detach(container.id()).await?;
        let record = container.record();
        self.at_rest(container, &record).await
    }

    async fn at_rest(&self, container: &Arc<Container>, record: &Record) -> Result<()> {
        self.release_shm(container).await;
        let tried = {
            let life = container.life();
            life.past().started_at != 0 || !life.past().error.is_empty()
        };
        if record.host.auto_remove && tried {
            return self.remove_locked(container).await;
        }
        if matches!(container.life().phase(), Phase::Removing | Phase::Dead) {
            return self.remove_locked(container).await;
        }
        if container.life().has_process() {
            return Err(Error::Conflict(format!("container {} is recorded as running", container.id())));
        }
        self.release_volumes(container).await;
        self.at_boot(container).await;
        Ok(())
    }

    /// Applies the restart policy at the start of the engine.
    async fn at_boot(&self, container: &Arc<Container>) {
        let record = container.record();
        let policy = policy_of(&record.host).unwrap_or_default();
        let wanted = {
            let life = container.life();
            let past = life.past();
            let ran_before = past.started_at != 0;
            let at_boot = policy.at_boot(past.exit_code, past.restart_count, past.stopped_by_hand);
            !life.is_removed() && !life.has_process() && (life.is_due() || ran_before && at_boot)
        };
        if !wanted {
            return;
        }
        let (engine, container) = (self.clone(), Arc::clone(container));
        self.spawn("start a container by its policy", async move {
            let (mut run, begun) = (0, tokio::time::Instant::now());
            loop {
                let Ok(_permit) = engine.starts.acquire().await else { return };
                let turn = container.operate().await;
                let wanted = {
                    let life = container.life();
                    !life.is_going() && !life.has_process() && life.run() == run
                };
                if !wanted {
                    return;
                }
                match engine.start_locked(&container, By::Policy).await {
                    Ok(()) => return,
                    // The attempt may have begun a run.
                    Err(error) if error.is_passing() => run = container.life().run(),
                    Err(Error::ChildNotRunning { .. }) if begun.elapsed() < LINKED => {}
                    Err(error) => {
                        tracing::warn!(container = %container.id(), error = %gantry_rpc::chain(&error), "container not started at boot");
                        return;
                    }
                }
                drop(turn);
                tokio::time::sleep(RETRY).await;
            }
        });
    }

    /// Looks for parts of containers in other services and on the disk, once all services answer.
    async fn look_around(&self) {
        loop {
            match self.try_look_around().await {
                Ok(()) => return,
                Err(error) if error.is_passing() => tokio::time::sleep(RETRY).await,
                Err(error) => {
                    tracing::warn!(error = %gantry_rpc::chain(&error), "strays are not looked for");
                    return;
                }
            }
        }
    }

    async fn try_look_around(&self) -> Result<()> {
        let parts = parts(&self.containers, &self.peers, &self.paths).await?;
        for container in self.containers.all() {
            if !parts.records.contains(container.id()) {
                self.record_again(&container).await?;
            }
        }
        for stray in parts.without_container(&self.containers.index) {
            tracing::warn!(kind = stray.kind(), container = stray.id(), "kept: {}", stray.reason());
        }
        for id in parts.idle_netns(&self.containers.index) {
            tracing::info!(container = %id, "removing a network namespace without a container");
            self.peers.networks.detach(id).await?;
        }
        self.volumes.end_strays(|user| self.containers.find(user).is_ok()).await?;
        for name in parts.directories.iter().filter(|name| Paths::is_removed(name)) {
            let path = self.paths.containers().join(name);
            blocking(move || gantry_rooted::tree::remove_tree(&path).map_err(crate::root::kernel)).await?;
        }
        Ok(())
    }

    /// Writes a container's record into the tasks service again, which has lost it. The record keeps the container's
    /// root.
    pub(crate) async fn record_again(&self, container: &Arc<Container>) -> Result<()> {
        let _turn = container.operate().await;
        let record = container.record();
        let unmade = container.life().is_unmade();
        // Checked again, because the container may be in creation or removal.
        let missing = !self.peers.records.ids().await?.iter().any(|id| id == container.id());
        if record.stage != Stage::Ready || unmade || !missing {
            return Ok(());
        }
        tracing::warn!(container = %container.id(), "tasks has no record of the container: it is made again");
        let spec = self.preliminary_spec(&record)?;
        let image = if record.image_name.is_empty() { &record.image_id } else { &record.image_name };
        let labels = containerd_labels(&record);
        self.peers.records.create(&record.id, image, labels, &record.snapshotter, &spec).await
    }
}
