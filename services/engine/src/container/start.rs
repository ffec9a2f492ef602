//! Starts a container: prepares network, root and specification at the same time, creates the process, waits for
//! clients that attach, and starts the process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gantry_api::engine::Status;
use gantry_api::network::Netns;
use gantry_failpoint::failpoint;
use gantry_spec::Namespace;
use gantry_types::Signal;

use super::Container;
use super::life::{Illegal, Started};
use super::mode::NetworkMode;
use super::network::netns_spec;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::health::Health;
use crate::peers::Stdio;
use crate::record::Record;
use crate::{spec, time};

/// How long a start waits for clients that attach.
const ATTACH_PATIENCE: Duration = Duration::from_secs(5);

/// The originator of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A request: the number of restarts returns to 0.
    Hand,
    /// The restart policy.
    Policy,
}

impl Engine {
    /// Starts a container at a user's request; returns `false` if it runs already.
    pub async fn start(&self, name: &str) -> Result<bool> {
        let container = self.containers.find(name)?;
        let turn = container.operate().await;
        container.refuse_if_removing()?;
        let status = container.status();
        match status {
            Status::Running => return Ok(false),
            Status::Paused => {
                return Err(Error::Conflict(
                    "cannot start a paused container, try unpause instead".to_owned(),
                ));
            }
            _ => {}
        }
        *container.backoff.lock() = crate::restart::Backoff::default();
        let result = self.start_locked(&container, By::Hand).await;
        if result.is_err() && container.record().host.auto_remove {
            self.remove_locked(&container).await?;
        }
        drop(turn);
        result.map(|()| true)
    }

    /// Starts a container. The caller must hold its operation lock.
    pub(crate) async fn start_locked(&self, container: &Arc<Container>, by: By) -> Result<()> {
        match self.try_start(container, by).await {
            Ok(()) => Ok(()),
            Err(error) => {
                self.abandon_start(container, &error).await;
                Err(error)
            }
        }
    }

    async fn try_start(&self, container: &Arc<Container>, by: By) -> Result<()> {
        let record = container.record();
        self.hold(&crate::volumes::held::elsewhere(&record.mounts), &record.id).await?;
        failpoint!("engine.start.held");
        let record = self.volumes.placed_in(record);
        self.check_sources(&record)?;
        // The directory was not synced when it was made, so a power failure may have removed it.
        let directory = self.paths.container(&record.id);
        std::fs::create_dir_all(&directory)
            .map_err(|source| Error::io("create directory", &directory, source))?;
        // Kept until the process is created, because it joins these namespaces.
        let joined = self.join_others(&record).await?;
        let around = spec::Surroundings {
            host: &self.facts,
            netns: joined.path("net").map_or_else(|| self.netns_of(&record), Namespace::Path),
            shared: spec::Shared { pid: joined.path("pid"), ipc: joined.path("ipc") },
            files: Some(self.files.of(&record)?),
            init: &self.init,
            shm: self.shm_of(&record).await?,
            variables: self.containers.linked(&record)?.iter().flat_map(super::links::variables).collect(),
        };
        let spec = spec::build(&record, &around)?;
        let shipping = self.logs.prepare(&record).await?;
        let (netns, rootfs, ()) = tokio::try_join!(
            self.attach_network(&record),
            container.root_mounts(&self.peers.snapshots),
            self.peers.records.update_spec(&record.id, &spec),
        )?;
        failpoint!("engine.start.attached");
        let mode = NetworkMode::of(&record.host.network_mode);
        let own_files = !matches!(mode, NetworkMode::Container(_));
        if own_files {
            self.files.write(&record, netns.as_ref()).await?;
        }
        let netns = netns.map(Arc::new);

        match self.peers.tasks.create(container.task(), rootfs.clone(), &self.stdio(&record)?).await {
            // An interrupted start has left the task; no client was told that it runs.
            Err(error) if error.peer_code() == Some(tonic::Code::AlreadyExists) => {
                self.end_task(container).await?;
                self.peers.tasks.create(container.task(), rootfs, &self.stdio(&record)?).await?;
            }
            made => drop(made?),
        }
        drop(joined);
        failpoint!("engine.start.created");
        let run = container.change(|life| life.begin(time::now()))?;
        self.wait_for_attaching(container).await;
        let pid = self.peers.tasks.start(&container.init()).await?;
        failpoint!("engine.start.started");

        let started = Started { pid, at: time::now(), by, netns: netns.clone() };
        let state = container.change(|life| {
            life.started(started)?;
            life.health = super::health::check_of(&record).map(|_| Health::starting(life.health.take()));
            Ok::<_, Illegal>(life.recorded())
        })?;
        self.files.tell_parents(container).await;
        self.monitor(container, run);
        if shipping.is_some() {
            self.logs.ship(container, shipping).await;
        }
        // If this fails, the start is undone, and the run's monitor ignores its end.
        self.containers.store.put_state(&record.id, &state).await?;
        failpoint!("engine.start.recorded", infallible);
        self.events.publish_mounts(container);
        self.publish_networks(container, netns.as_deref(), "connect").await;
        self.events.publish_container(container, "start", BTreeMap::new());
        self.probes.watch(container, run);
        Ok(())
    }

    /// Undoes a failed start and records its error.
    async fn abandon_start(&self, container: &Arc<Container>, error: &Error) {
        let id = container.id();
        let (task, network) = tokio::join!(self.end_task(container), self.peers.networks.detach(id));
        for failed in [task, network].into_iter().filter_map(Result::err) {
            tracing::warn!(container = %id, error = %gantry_rpc::chain(&failed), "undoing a failed start");
        }
        self.release_shm(container).await;
        self.release_volumes(container).await;
        let exit_code = match error {
            Error::StartFailed { exit_code, .. } => Some(*exit_code),
            _ => None,
        };
        let undone = container.change(|life| {
            life.fail(gantry_rpc::chain(error), exit_code.unwrap_or(128))?;
            Ok::<_, Illegal>(life.recorded())
        });
        let written = match undone {
            Ok(state) => self.containers.store.put_state(id, &state).await,
            Err(illegal) => Err(illegal.into()),
        };
        if let Err(error) = written {
            tracing::error!(container = %id, error = %gantry_rpc::chain(&error), "state not recorded");
        }
    }

    /// Kills and deletes a task in any state.
    pub(crate) async fn end_task(&self, container: &Container) -> Result<()> {
        match self.peers.tasks.delete(container.task()).await {
            Ok(()) => return Ok(()),
            Err(error) if error.peer_code() == Some(tonic::Code::Unavailable) => return Err(error),
            Err(_) => {}
        }
        // The process may run. If it has ended, the deletion succeeds.
        let init = container.init();
        let _ = self.peers.tasks.kill(&init, Signal::KILL).await;
        let _ = tokio::time::timeout(Duration::from_secs(10), self.peers.tasks.wait(&init)).await;
        self.peers.tasks.delete(container.task()).await
    }

    async fn attach_network(&self, record: &Record) -> Result<Option<Netns>> {
        match netns_spec(record)? {
            Some(spec) => self.peers.networks.attach(spec).await.map(Some),
            None => Ok(None),
        }
    }

    async fn wait_for_attaching(&self, container: &Container) {
        let mut attaching = container.attaching.subscribe();
        let all_there = attaching.wait_for(|waiting| *waiting == 0);
        if tokio::time::timeout(ATTACH_PATIENCE, all_there).await.is_err() {
            tracing::warn!(container = %container.id(), "a client that wanted to be attached did not come");
        }
    }

    /// Checks the sources of binds, which may have been removed since the creation. Missing sources of `-v` are
    /// created again.
    fn check_sources(&self, record: &Record) -> Result<()> {
        for mount in record.mounts.iter().filter(|mount| !mount.is_tmpfs()) {
            if mount.point.r#type != "bind" {
                // Containers may have replaced the part of the volume.
                mount.open()?;
                continue;
            }
            let source = mount.source();
            if !source.exists() {
                if !mount.make_source {
                    return Err(Error::Invalid(format!(
                        "invalid mount config for type \"bind\": bind source path does not exist: {}",
                        source.display()
                    )));
                }
                std::fs::create_dir_all(&source)
                    .map_err(|error| Error::io("create mount source", &source, error))?;
            }
            crate::volumes::propagation::check(&source, &mount.point.propagation)?;
        }
        Ok(())
    }

    fn stdio(&self, record: &Record) -> Result<Stdio> {
        Ok(Stdio {
            log: crate::logs::kept::uri(&self.logs.drivers, record, &self.paths.log(&record.id))?,
            stdin: record.config.open_stdin,
            terminal: record.config.tty,
        })
    }
}
