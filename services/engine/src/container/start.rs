//! Starting: network, root and specification are made ready at the same time, then the process is made, those who wait
//! to be attached are connected, and the process runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gantry_api::engine::Status;
use gantry_api::network::Netns;
use gantry_failpoint::failpoint;
use gantry_spec::Namespace;

use super::Container;
use super::life::{Illegal, Started};
use super::mode::NetworkMode;
use super::network::netns_spec;
use super::signal::Signal;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::health::Health;
use crate::peers::Stdio;
use crate::record::Record;
use crate::{spec, time};

/// How long a start waits for those who said that they want to be attached.
const ATTACH_PATIENCE: Duration = Duration::from_secs(5);

/// Who starts a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A request: restarts are counted anew.
    Hand,
    /// The restart policy.
    Policy,
}

impl Engine {
    /// Starts a container at a user's request; `false` when it runs already.
    pub async fn start(&self, name: &str) -> Result<bool> {
        let container = self.index.find(name)?;
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

    /// Starts a container whose turn the caller has.
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
        // Nobody waited for it to be on the disk when it was made: a power cut may have taken it.
        let directory = self.paths.container(&record.id);
        std::fs::create_dir_all(&directory)
            .map_err(|source| Error::io("create directory", &directory, source))?;
        // Kept until the process is made, which joins them.
        let joined = self.join_others(&record).await?;
        let around = spec::Surroundings {
            host: &self.facts,
            netns: joined.path("net").map_or_else(|| self.netns_of(&record), Namespace::Path),
            shared: spec::Shared { pid: joined.path("pid"), ipc: joined.path("ipc") },
            files: Some(self.files_of(&record)?),
            init: &self.init,
            shm: self.shm_of(&record).await?,
            variables: self.linked(&record)?.iter().flat_map(super::links::variables).collect(),
        };
        let spec = spec::build(&record, &around)?;
        let shipping = self.prepare_shipping(&record).await?;
        let (netns, rootfs, ()) = tokio::try_join!(
            self.attach_network(&record),
            self.mounts_of(container),
            self.peers.update_spec(&record.id, &spec),
        )?;
        failpoint!("engine.start.attached");
        let mode = NetworkMode::of(&record.host.network_mode);
        let own_files = !matches!(mode, NetworkMode::Container(_));
        if own_files {
            self.write_files(&record, netns.as_ref()).await?;
        }
        let netns = netns.map(Arc::new);

        match self.peers.create_task(&record.id, rootfs.clone(), &self.stdio(&record)?).await {
            // Left by a start that was cut short: nobody was told that it runs.
            Err(error) if error.peer_code() == Some(tonic::Code::AlreadyExists) => {
                self.end_task(&record.id).await?;
                self.peers.create_task(&record.id, rootfs, &self.stdio(&record)?).await?;
            }
            made => drop(made?),
        }
        drop(joined);
        failpoint!("engine.start.created");
        let run = container.change(|life| life.begin(time::now()))?;
        self.wait_for_attaching(container).await;
        let pid = self.peers.start_task(&record.id, "").await?;
        failpoint!("engine.start.started");

        let started = Started { pid, at: time::now(), by, netns: netns.clone() };
        let state = container.change(|life| {
            life.started(started)?;
            life.health = super::health::check_of(&record).map(|_| Health::starting(life.health.take()));
            Ok::<_, Illegal>(life.recorded())
        })?;
        self.tell_parents(container).await;
        self.monitor(container, run);
        if shipping.is_some() {
            self.ship(container, shipping).await;
        }
        // Where that fails, the start is undone: the end of this run is nothing that its monitor has to take in.
        self.store.put_state(&record.id, &state).await?;
        failpoint!("engine.start.recorded", infallible);
        self.publish_mounts(container);
        self.publish_networks(container, netns.as_deref(), "connect").await;
        self.publish_container(container, "start", BTreeMap::new());
        self.watch_health(container, run);
        Ok(())
    }

    /// Undoes what a failed start did, and records why it failed.
    async fn abandon_start(&self, container: &Arc<Container>, error: &Error) {
        let id = container.id();
        let (task, network) = tokio::join!(self.end_task(id), self.peers.detach(id));
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
            Ok(state) => self.store.put_state(id, &state).await,
            Err(illegal) => Err(illegal.into()),
        };
        if let Err(error) = written {
            tracing::error!(container = %id, error = %gantry_rpc::chain(&error), "state not recorded");
        }
    }

    /// Kills and forgets a task in whatever state it is.
    pub(crate) async fn end_task(&self, id: &str) -> Result<()> {
        match self.peers.delete_task(id).await {
            Ok(()) => return Ok(()),
            Err(error) if error.peer_code() == Some(tonic::Code::Unavailable) => return Err(error),
            Err(_) => {}
        }
        // Perhaps it runs; or it has ended meanwhile, which the deletion will tell.
        let _ = self.peers.kill_task(id, "", Signal::KILL).await;
        let _ = tokio::time::timeout(Duration::from_secs(10), self.peers.wait_task(id, "")).await;
        self.peers.delete_task(id).await
    }

    async fn attach_network(&self, record: &Record) -> Result<Option<Netns>> {
        match netns_spec(record)? {
            Some(spec) => self.peers.attach(spec).await.map(Some),
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

    /// Sources may have gone since the container was made; those of `-v` are made again.
    fn check_sources(&self, record: &Record) -> Result<()> {
        for mount in record.mounts.iter().filter(|mount| !mount.is_tmpfs()) {
            if mount.point.r#type != "bind" {
                // A part of a volume is where its containers have put it.
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
            log: crate::logs::kept::uri(&self.log_drivers, record, &self.paths.log(&record.id))?,
            stdin: record.config.open_stdin,
            terminal: record.config.tty,
        })
    }
}
