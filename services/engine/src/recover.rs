//! What the engine does when it starts: brings its records, the other services and the kernel together again.
//!
//! 1. containers that were being made or unmade are unmade;
//! 2. each of the others is compared with tasks: what runs is watched again, what has ended meanwhile is taken in with its
//!    own exit status, what was to be restarted is;
//! 3. tasks, records, networks and directories of containers that nobody knows are removed.
//!
//! Names and records can be used at once; each container is reconciled on its own, in its turn, again and again until its
//! peers are there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gantry_proto::gantry::engine::v1::Status;

use crate::container::Container;
use crate::container::remove::Volumes;
use crate::container::start::By;
use crate::container::validate::policy_of;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::exec::Exec;
use crate::health::Health;
use crate::peers::{Exit, Task};
use crate::record::{Phase, Record};
use crate::time;

/// Between attempts to reach a peer.
const RETRY: Duration = Duration::from_millis(250);

impl Engine {
    /// Fills the index and begins to reconcile; returns when every name is known.
    pub async fn recover(&self) -> Result<()> {
        let mut containers = Vec::new();
        for (record, state) in self.store.containers()? {
            if let Err(error) = self.index.reserve(&record.name, &record.id) {
                tracing::error!(container = %record.id, %error, "two containers have one name");
            }
            let half_made = record.phase() != Phase::Ready;
            let probed = state.started_at != 0 && crate::container::health::check_of(&record).is_some();
            let container = Arc::new(Container::new(record, state, self.index.watched()));
            container.change(|live| {
                live.removing = half_made;
                live.health = probed.then(Health::unprobed);
            });
            self.index.insert(Arc::clone(&container));
            containers.push(container);
        }
        let mut orphans = Vec::new();
        for exec in self.store.execs()? {
            match self.index.find(&exec.container) {
                Ok(container) => {
                    container.execs.lock().insert(exec.id.clone(), Arc::new(Exec::restore(exec)));
                }
                Err(_) => orphans.push(exec.id),
            }
        }
        if let Err(error) = self.store.delete_execs(&orphans).await {
            tracing::warn!(error = %gantry_rpc::chain(&error), "execs of containers that are gone are not forgotten");
        }
        for container in containers {
            // Its turn is taken here, before anybody can ask for anything.
            let engine = self.clone();
            let (taken, begun) = tokio::sync::oneshot::channel();
            self.spawn("reconcile a container", async move { engine.reconcile(&container, taken).await });
            // An error means that the service ends: nobody will ask for anything.
            let _ = begun.await;
        }
        let engine = self.clone();
        self.spawn("remove what nobody knows", async move { engine.remove_strays().await });
        Ok(())
    }

    /// Unmakes, as soon as its peers are there, a container whose making failed because one was away.
    pub(crate) fn unmake_later(&self, container: &Arc<Container>) {
        container.change(|live| live.removing = true);
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
            // Somebody may have removed or started it while a peer was waited for.
            if container.live().removed || container.live().run != 0 {
                return;
            }
            match self.try_reconcile(container).await {
                Ok(()) => return,
                Err(error) if error.is_passing() => {}
                Err(error) => {
                    tracing::error!(container = %container.id(), error = %gantry_rpc::chain(&error), "container not reconciled");
                    if container.live().removing {
                        // Its user can try to remove it again.
                        container.change(|live| {
                            live.removing = false;
                            live.state.set_status(Status::Dead);
                        });
                    }
                    return;
                }
            }
            // Requests meanwhile are answered by what the missing peer's absence means for them.
            drop(turn);
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn try_reconcile(&self, container: &Arc<Container>) -> Result<()> {
        let record = container.record();
        match record.phase() {
            Phase::Removing if record.keep_volumes => return self.unmake(container, Volumes::Keep).await,
            Phase::Creating | Phase::Removing => return self.unmake(container, Volumes::Anonymous).await,
            Phase::Ready => {}
        }
        match self.peers.task(container.id(), "").await? {
            Task::Running(pid) => self.adopt(container, &record, pid, Status::Running).await,
            // It was frozen for an image to be made of it.
            Task::Paused(pid) if container.status() == Status::Running => {
                self.peers.resume_task(container.id()).await?;
                self.adopt(container, &record, pid, Status::Running).await
            }
            Task::Paused(pid) => self.adopt(container, &record, pid, Status::Paused).await,
            Task::Stopped(exit) => self.take_in(container, exit).await,
            // A start that was cut short: nobody was told that it runs.
            Task::Created => {
                self.end_task(container.id()).await?;
                self.peers.detach(container.id()).await?;
                self.at_rest(container, &record).await
            }
            Task::Absent if container.live().state.has_process() => {
                // The machine was restarted, or the shim is gone with all it knew.
                self.take_in(container, Exit { code: 255, at: time::now() }).await
            }
            Task::Absent => {
                self.peers.detach(container.id()).await?;
                self.at_rest(container, &record).await
            }
        }
    }

    /// A container that runs is watched again.
    async fn adopt(
        &self,
        container: &Arc<Container>,
        record: &Record,
        pid: u32,
        status: Status,
    ) -> Result<()> {
        let sandbox = self.peers.sandbox(container.id()).await?;
        self.adopt_execs(container).await?;
        let before = container.live().state.clone();
        container.change(|live| {
            live.run += 1;
            live.attachable = true;
            live.sandbox = sandbox.map(Arc::new);
            live.health = crate::container::health::check_of(record).map(|_| Health::default());
            live.state.set_status(status);
            live.state.pid = pid;
            if live.state.started_at == 0 || !before.has_process() {
                live.state.started_at = time::now();
            }
        });
        let (run, state) = {
            let live = container.live();
            (live.run, live.state.clone())
        };
        self.monitor(container, run);
        self.watch_health(container, run);
        if state != before
            && let Err(error) = self.store.put_state(container.id(), &state).await
        {
            tracing::warn!(container = %container.id(), error = %gantry_rpc::chain(&error), "state not recorded");
        }
        tracing::info!(container = %container.id(), pid, "container is still running");
        Ok(())
    }

    /// A container that ended while nobody was looking.
    async fn take_in(&self, container: &Arc<Container>, exit: Exit) -> Result<()> {
        if container.live().state.has_process() {
            self.ended(container, exit).await;
            self.at_boot(container).await;
            return Ok(());
        }
        // Its end was taken in already; only the clearing away was cut short.
        self.peers.delete_task(container.id()).await?;
        self.peers.detach(container.id()).await?;
        let record = container.record();
        self.at_rest(container, &record).await
    }

    async fn at_rest(&self, container: &Arc<Container>, record: &Record) -> Result<()> {
        let tried = {
            let state = &container.live().state;
            state.started_at != 0 || !state.error.is_empty()
        };
        if record.host.auto_remove && tried {
            return self.remove_locked(container).await;
        }
        let status = container.status();
        if matches!(status, Status::Removing | Status::Dead) {
            return self.remove_locked(container).await;
        }
        if container.live().state.has_process() {
            return Err(Error::Conflict(format!("container {} is recorded as running", container.id())));
        }
        self.at_boot(container).await;
        Ok(())
    }

    /// What the restart policy says when the engine comes up.
    async fn at_boot(&self, container: &Arc<Container>) {
        let record = container.record();
        let state = container.live().state.clone();
        if container.live().removed || state.has_process() {
            return;
        }
        let policy = policy_of(&record.host).unwrap_or_default();
        let ran_before = state.started_at != 0;
        let waits = state.status() == Status::Restarting;
        if !(waits
            || ran_before && policy.at_boot(state.exit_code, state.restart_count, state.stopped_by_hand))
        {
            return;
        }
        let (engine, container) = (self.clone(), Arc::clone(container));
        self.spawn("start a container by its policy", async move {
            let mut run = 0;
            loop {
                let Ok(_permit) = engine.starts.acquire().await else { return };
                let turn = container.operate().await;
                let wanted = {
                    let live = container.live();
                    !live.removing && !live.state.has_process() && live.run == run
                };
                if !wanted {
                    return;
                }
                match engine.start_locked(&container, By::Policy).await {
                    Ok(()) => return,
                    // It may have got as far as a run.
                    Err(error) if error.is_passing() => run = container.live().run,
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

    /// Removes what other services keep for containers that have no record here.
    async fn remove_strays(&self) {
        loop {
            match self.try_remove_strays().await {
                Ok(()) => return,
                Err(error) if error.is_passing() => tokio::time::sleep(RETRY).await,
                Err(error) => {
                    tracing::warn!(error = %gantry_rpc::chain(&error), "strays not removed");
                    return;
                }
            }
        }
    }

    async fn try_remove_strays(&self) -> Result<()> {
        let known = || -> BTreeSet<String> {
            self.index.all().iter().map(|container| container.id().to_owned()).collect()
        };
        // What is listed first and not known afterwards cannot be of a container that is just being made:
        // its record is written before anything else.
        let tasks = self.peers.task_ids().await?;
        let records = self.peers.record_ids().await?;
        let sandboxes = self.peers.sandbox_ids().await?;
        let known = known();
        for id in tasks.iter().filter(|id| !known.contains(*id)) {
            tracing::info!(container = %id, "removing a task without a container");
            self.end_task(id).await?;
        }
        for id in records.iter().filter(|id| !known.contains(*id)) {
            tracing::info!(container = %id, "removing a container record without a container");
            self.peers.remove_snapshot(&self.snapshotter, id).await?;
            self.peers.delete_record(id).await?;
        }
        for id in sandboxes.iter().filter(|id| !known.contains(*id)) {
            tracing::info!(container = %id, "removing a network namespace without a container");
            self.peers.detach(id).await?;
        }
        let directory = self.paths.containers();
        let entries = std::fs::read_dir(&directory)
            .map_err(|source| Error::io("read directory", &directory, source))?;
        for entry in entries.flatten() {
            let stray = entry.file_name().to_str().is_some_and(|name| self.index.find(name).is_err());
            if stray {
                tracing::info!(directory = %entry.path().display(), "removing files without a container");
                gantry_host::fs::remove_tree(&entry.path()).map_err(crate::root::kernel)?;
            }
        }
        Ok(())
    }
}
