//! What the engine does when it starts: brings its records, the other services and the kernel together again.
//!
//! 1. containers that were being made or unmade are unmade;
//! 2. each of the others is compared with tasks: what runs is watched again, what has ended meanwhile is taken in with its
//!    own exit status, what was to be restarted is;
//! 3. what others keep for containers that have no record here is told of and left alone ([`crate::strays`]): a container
//!    that is removed loses its record last, so a record that is not there is lost. Only what a removal had moved away
//!    goes, and network namespaces in which nothing runs.
//!
//! Names and records can be used at once; each container is reconciled on its own, in its turn, again and again until its
//! peers are there.

use std::sync::Arc;
use std::time::Duration;

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
use crate::time;

/// Between attempts to reach a peer.
const RETRY: Duration = Duration::from_millis(250);
/// How long a container waits for those it is linked to, which start at the same time.
const LINKED: Duration = Duration::from_secs(30);

impl Engine {
    /// Fills the index and begins to reconcile; returns when every name is known.
    pub async fn recover(&self) -> Result<()> {
        let mut containers = Vec::new();
        for (record, life) in self.store.containers()? {
            if let Err(error) = self.index.reserve(&record.name, &record.id) {
                tracing::error!(container = %record.id, %error, "two containers have one name");
            }
            let half_made = record.stage != Stage::Ready;
            if life.has_process() {
                self.volumes.expect(&crate::volumes::held::elsewhere(&record.mounts), &record.id)?;
            }
            let probed = life.past().started_at != 0 && crate::container::health::check_of(&record).is_some();
            let container = Arc::new(Container::new(record, life, self.index.generation()));
            container.change(|life| life.health = probed.then(Health::unprobed));
            if half_made {
                container.change(Life::unmake);
            }
            self.index.insert(Arc::clone(&container));
            containers.push(container);
        }
        for container in &containers {
            self.rename_children(&container.record().links);
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
        for container in &containers {
            // Also of what has ended: something may be left.
            self.ship(container, None).await;
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
        self.spawn("look around", async move { engine.look_around().await });
        Ok(())
    }

    /// Unmakes, as soon as its peers are there, a container whose making failed because one was away.
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
            // Somebody may have removed or started it while a peer was waited for.
            if container.life().is_removed() || container.life().run() != 0 {
                return;
            }
            match self.try_reconcile(container).await {
                Ok(()) => return,
                Err(error) if error.is_passing() => {}
                Err(error) => {
                    tracing::error!(container = %container.id(), error = %gantry_rpc::chain(&error), "container not reconciled");
                    if *container.life().phase() == Phase::Removing {
                        // Its user can try to remove it again.
                        let _ = container.change(Life::fail_removal);
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
        match record.stage {
            Stage::Removing if record.keep_volumes => return self.unmake(container, Volumes::Keep).await,
            Stage::Creating | Stage::Removing => return self.unmake(container, Volumes::Anonymous).await,
            Stage::Ready => {}
        }
        match self.peers.task(container.id(), "").await? {
            Task::Running(pid) => self.adopt(container, &record, pid, Pause::No).await,
            // It was frozen for an image to be made of it.
            Task::Paused(pid) if container.life().is_recorded_as_running() => {
                self.peers.resume_task(container.id()).await?;
                self.adopt(container, &record, pid, Pause::No).await
            }
            Task::Paused(pid) => self.adopt(container, &record, pid, Pause::ByHand).await,
            Task::Stopped(exit) => self.take_in(container, exit).await,
            // A start that was cut short: nobody was told that it runs.
            Task::Created => {
                self.end_task(container.id()).await?;
                self.peers.detach(container.id()).await?;
                self.at_rest(container, &record).await
            }
            Task::Absent if container.life().has_process() => {
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
    async fn adopt(&self, container: &Arc<Container>, record: &Record, pid: u32, pause: Pause) -> Result<()> {
        let netns = self.peers.netns(container.id()).await?;
        self.adopt_execs(container).await?;
        self.volumes.expect(&crate::volumes::held::elsewhere(&record.mounts), &record.id)?;
        let before = container.life().recorded();
        let found = Running { pid, pause, netns: netns.map(Arc::new), ..Running::default() };
        let (run, state) = container.change(|life| {
            let run = life.adopt(found, time::now())?;
            life.health = crate::container::health::check_of(record).map(|_| Health::default());
            Ok::<_, Illegal>((run, life.recorded()))
        })?;
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
        if container.life().has_process() {
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

    /// What the restart policy says when the engine comes up.
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
                    // It may have got as far as a run.
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

    /// Looks at what other services keep for containers, and what lies on the disk for them, once they all answer.
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
        let parts = self.parts().await?;
        for container in self.index.all() {
            if !parts.records.contains(container.id()) {
                self.record_again(&container).await?;
            }
        }
        for stray in parts.without_container(&self.index) {
            tracing::warn!(kind = stray.kind(), container = stray.id(), "kept: {}", stray.reason());
        }
        for id in parts.idle_netns(&self.index) {
            tracing::info!(container = %id, "removing a network namespace without a container");
            self.peers.detach(id).await?;
        }
        self.volumes.end_strays(|user| self.index.find(user).is_ok()).await?;
        for name in &parts.directories {
            let path = self.paths.containers().join(name);
            if Paths::is_removed(name) {
                gantry_rooted::tree::remove_tree(&path).map_err(crate::root::kernel)?;
            }
        }
        Ok(())
    }

    /// Gives tasks the record of a container again, which keeps its root: tasks has lost it.
    pub(crate) async fn record_again(&self, container: &Arc<Container>) -> Result<()> {
        let _turn = container.operate().await;
        let record = container.record();
        let going = container.life().is_going();
        // Looked at again: it may have been on its way in, or out.
        let missing = !self.peers.record_ids().await?.iter().any(|id| id == container.id());
        if record.stage != Stage::Ready || going || !missing {
            return Ok(());
        }
        tracing::warn!(container = %container.id(), "tasks has no record of the container: it is made again");
        let spec = self.preliminary_spec(&record)?;
        let image = if record.image_name.is_empty() { &record.image_id } else { &record.image_name };
        let labels = containerd_labels(&record);
        self.peers.create_record(&record.id, image, labels, &record.snapshotter, &spec).await
    }
}
