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

use gantry_daemon::Context;

use crate::container::connect::Connections;
use crate::container::holdings::Holdings;
use crate::container::life::{Illegal, Life, Pause, Phase, Running};
use crate::container::remove::Removal;
use crate::container::run::Runs;
use crate::container::{Container, Turn, health};
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::exec::{Exec, Execs};
use crate::health::Health;
use crate::logs::Logs;
use crate::peers::{Exit, Task, Tasks};
use crate::record::{Record, Stage};
use crate::strays::Strays;
use crate::{retry, time};

/// Brings containers in line with their records when the engine starts. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Recovery {
    containers: Containers,
    tasks: Tasks,
    execs: Execs,
    connections: Connections,
    holdings: Holdings,
    removal: Removal,
    runs: Arc<Runs>,
}

impl Recovery {
    /// Brings these containers in line with the tasks service.
    pub(crate) fn new(
        containers: &Containers,
        tasks: &Tasks,
        execs: &Execs,
        connections: &Connections,
        holdings: &Holdings,
        removal: &Removal,
        runs: &Arc<Runs>,
    ) -> Recovery {
        Recovery {
            containers: containers.clone(),
            tasks: tasks.clone(),
            execs: execs.clone(),
            connections: connections.clone(),
            holdings: holdings.clone(),
            removal: removal.clone(),
            runs: Arc::clone(runs),
        }
    }

    /// Fills the index and begins to reconcile; returns once every name is known. What this begins ends with the
    /// service of `context`.
    pub(crate) async fn recover(&self, logs: &Logs, strays: Strays, context: &Context) -> Result<()> {
        let mut containers = Vec::new();
        for (record, life) in self.containers.store.containers().await? {
            if let Err(error) = self.containers.index.reserve(&record.name, &record.id) {
                tracing::error!(container = %record.id, %error, "two containers have one name");
            }
            let half_made = record.stage != Stage::Ready;
            if life.has_process() {
                self.holdings.expect(&record)?;
            }
            let probed = life.past().started_at != 0 && health::check_of(&record).is_some();
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
            logs.ship(container, None).await;
        }
        for container in containers {
            // The lock is taken before any request can arrive.
            let turn = container.operate_owned().await;
            let recovery = self.clone();
            context.spawn("reconcile a container", async move { recovery.reconcile(&container, turn).await });
        }
        context.spawn("look around", async move { strays.look_around().await });
        Ok(())
    }

    async fn reconcile(&self, container: &Arc<Container>, mut turn: Turn) {
        if container.record().stage != Stage::Ready {
            return self.removal.finish(container, turn).await;
        }
        // The container may have been removed or started while this waited for a service.
        while !container.life().is_removed() && container.life().run() == 0 {
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
            tokio::time::sleep(retry::PAUSE).await;
            turn = container.operate_owned().await;
        }
    }

    async fn try_reconcile(&self, container: &Arc<Container>) -> Result<()> {
        let record = container.record();
        match self.tasks.get(&container.init()).await? {
            Task::Running(pid) => self.adopt(container, &record, pid, Pause::No).await,
            // A commit had frozen the container.
            Task::Paused(pid) if container.life().is_recorded_as_running() => {
                self.tasks.resume(container.task()).await?;
                self.adopt(container, &record, pid, Pause::No).await
            }
            Task::Paused(pid) => self.adopt(container, &record, pid, Pause::ByHand).await,
            Task::Stopped(exit) => self.take_in(container, exit).await,
            // An interrupted start: no client was told that the container runs.
            Task::Created => {
                self.holdings.end(container).await?;
                self.at_rest(container, &record).await
            }
            Task::Absent if container.life().has_process() => {
                // The machine was rebooted, or the shim has died.
                self.take_in(container, Exit { code: 255, at: time::now() }).await
            }
            Task::Absent => {
                self.holdings.end(container).await?;
                self.at_rest(container, &record).await
            }
        }
    }

    /// Watches a running container again. An interrupted change of its networks is undone or finished.
    async fn adopt(&self, container: &Arc<Container>, record: &Record, pid: u32, pause: Pause) -> Result<()> {
        let netns = self.connections.settled_netns(container).await?;
        self.execs.adopt(container).await?;
        self.holdings.expect(record)?;
        let before = container.life().recorded();
        let found = Running { pid, pause, netns: netns.map(Arc::new), ..Running::default() };
        let (run, state) = container.change(|life| {
            let run = life.adopt(found, time::now())?;
            life.health = health::check_of(record).map(|_| Health::default());
            Ok::<_, Illegal>((run, life.recorded()))
        })?;
        self.runs.watch(container, run);
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
            self.runs.ended(container, exit).await;
            self.runs.at_boot(container);
            return Ok(());
        }
        // The end is recorded already; only the cleaning up was interrupted.
        self.holdings.delete(container).await?;
        let record = container.record();
        self.at_rest(container, &record).await
    }

    async fn at_rest(&self, container: &Arc<Container>, record: &Record) -> Result<()> {
        let tried = {
            let life = container.life();
            life.past().started_at != 0 || !life.past().error.is_empty()
        };
        if record.host.auto_remove && tried {
            return self.removal.remove_locked(container).await;
        }
        if matches!(container.life().phase(), Phase::Removing | Phase::Dead) {
            return self.removal.remove_locked(container).await;
        }
        if container.life().has_process() {
            return Err(Error::Conflict(format!("container {} is recorded as running", container.id())));
        }
        self.holdings.release(container).await;
        self.runs.at_boot(container);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
