//! Starts a container: prepares network, root and specification at the same time, creates the process, waits for
//! clients that attach, and starts the process. A start that fails at any point is undone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gantry_failpoint::failpoint;

use super::Container;
use super::files::Files;
use super::holdings::Holdings;
use super::life::{Illegal, Started};
use super::mode::NetworkMode;
use super::network;
use super::specs::Specs;
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::health::Health;
use crate::logs::Logs;
use crate::peers::{Peers, Stdio};
use crate::record::MountRecord;
use crate::time;
use crate::volumes::propagation;

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

/// Starts containers. Cheap to clone.
#[derive(Clone)]
pub struct Starts {
    containers: Containers,
    events: Events,
    peers: Peers,
    specs: Specs,
    holdings: Holdings,
    files: Files,
    logs: Logs,
}

impl Starts {
    /// Starts these containers in these services.
    pub fn new(
        containers: &Containers,
        events: &Events,
        peers: &Peers,
        specs: &Specs,
        holdings: &Holdings,
        files: &Files,
        logs: &Logs,
    ) -> Starts {
        Starts {
            containers: containers.clone(),
            events: events.clone(),
            peers: peers.clone(),
            specs: specs.clone(),
            holdings: holdings.clone(),
            files: files.clone(),
            logs: logs.clone(),
        }
    }

    /// Starts a container and returns the number of its run, for whose end the caller must wait. If the start fails,
    /// it is undone. The caller must hold the operation lock.
    pub(crate) async fn start(&self, container: &Arc<Container>, by: By) -> Result<u64> {
        match self.try_start(container, by).await {
            Ok(run) => Ok(run),
            Err(error) => {
                self.abandon(container, &error).await;
                Err(error)
            }
        }
    }

    async fn try_start(&self, container: &Arc<Container>, by: By) -> Result<u64> {
        let record = self.holdings.mount(container.record()).await?;
        failpoint!("engine.start.held");
        check_sources(&record.mounts)?;
        // The directory was not synced when it was made, so a power failure may have removed it.
        self.files.make_directory(&record)?;
        let (spec, joined) = self.specs.of_start(&record).await?;
        let shipping = self.logs.prepare(&record).await?;
        // All three are carried to their ends even if one fails: an attachment that is abandoned on its way could be
        // made after the start was undone, and nobody would take it down.
        let (netns, rootfs, written) = tokio::join!(
            self.holdings.attach(&record),
            container.root_mounts(&self.peers.snapshots),
            self.peers.records.update_spec(&record.id, &spec),
        );
        let (netns, rootfs, ()) = (netns?, rootfs?, written?);
        failpoint!("engine.start.attached");
        let mode = NetworkMode::of(&record.host.network_mode);
        let own_files = !matches!(mode, NetworkMode::Container(_));
        if own_files {
            self.files.write(&record, netns.as_ref()).await?;
        }
        let netns = netns.map(Arc::new);

        let stdio = Stdio {
            log: self.logs.uri(&record)?,
            stdin: record.config.open_stdin,
            terminal: record.config.tty,
        };
        match self.peers.tasks.create(container.task(), rootfs.clone(), &stdio).await {
            // An interrupted start has left the task; no client was told that it runs.
            Err(error) if error.peer_code() == Some(tonic::Code::AlreadyExists) => {
                self.holdings.end_task(container).await?;
                self.peers.tasks.create(container.task(), rootfs, &stdio).await?;
            }
            made => drop(made?),
        }
        drop(joined);
        failpoint!("engine.start.created");
        let run = container.change(|life| life.begin(time::now()))?;
        wait_for_attaching(container).await;
        let pid = self.peers.tasks.start(&container.init()).await?;
        failpoint!("engine.start.started");

        let started = Started { pid, at: time::now(), by, netns: netns.clone() };
        let state = container.change(|life| {
            life.started(started)?;
            life.health = super::health::check_of(&record).map(|_| Health::starting(life.health.take()));
            Ok::<_, Illegal>(life.recorded())
        })?;
        self.files.tell_parents(container).await;
        if shipping.is_some() {
            self.logs.ship(container, shipping).await;
        }
        self.containers.store.put_state(&record.id, &state).await?;
        failpoint!("engine.start.recorded", infallible);
        self.events.publish_mounts(container);
        network::publish(&self.peers.networks, &self.events, container, netns.as_deref(), "connect").await;
        self.events.publish_container(container, "start", BTreeMap::new());
        Ok(run)
    }

    /// Undoes a failed start and records its error.
    async fn abandon(&self, container: &Arc<Container>, error: &Error) {
        let id = container.id();
        if let Err(failed) = self.holdings.end(container).await {
            tracing::warn!(container = %id, error = %gantry_rpc::chain(&failed), "undoing a failed start");
        }
        self.holdings.release(container).await;
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
}

async fn wait_for_attaching(container: &Container) {
    let mut attaching = container.attaching.subscribe();
    let all_there = attaching.wait_for(|waiting| *waiting == 0);
    if tokio::time::timeout(ATTACH_PATIENCE, all_there).await.is_err() {
        tracing::warn!(container = %container.id(), "a client that wanted to be attached did not come");
    }
}

/// Checks the sources of binds, which may have been removed since the creation. Missing sources of `-v` are
/// created again.
fn check_sources(mounts: &[MountRecord]) -> Result<()> {
    for mount in mounts.iter().filter(|mount| !mount.is_tmpfs()) {
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
        propagation::check(&source, &mount.point.propagation)?;
    }
    Ok(())
}
