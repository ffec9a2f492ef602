//! Ends by signal: kill, stop, restart.
//!
//! The container's turn is only taken to send a signal, not to wait for what it does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gantry_api::engine::{Status, StopSpec};
use gantry_failpoint::failpoint;

use super::Container;
use super::life::{Life, Then};
use super::signal::Signal;
use super::start::By;
use crate::engine::Engine;
use crate::error::{Error, Result};

/// How long a process has to end by itself, unless somebody says otherwise.
const PATIENCE: i64 = 10;
/// How long the kernel may take to end a killed process before the wait for it is given up.
pub const KILL_PATIENCE: Duration = Duration::from_secs(60);

impl Engine {
    /// Sends a signal to a running container. One that was killed has ended when this returns, as with Docker.
    pub async fn kill(&self, name: &str, signal: &str) -> Result<()> {
        let cannot = |error| Error::cannot(format!("cannot kill container: {name}"), error);
        let number =
            if signal.is_empty() { Signal::KILL } else { signal.parse::<Signal>().map_err(cannot)? };
        let container = self.index.find(name).map_err(cannot)?;
        let turn = container.operate().await;
        let ends = number == Signal::KILL || number == stop_signal(&container);
        if container.status() == Status::Restarting {
            // Nothing runs that could get it; what may be meant is that it should not run again.
            if ends {
                self.cancel_restart(&container).await?;
            }
            return Ok(());
        }
        if !container.life().has_process() {
            return Err(cannot(Error::NotRunning(container.id().to_owned())));
        }
        if number == Signal::KILL && container.status() == Status::Paused {
            self.thaw(&container).await?;
        }
        if ends {
            self.mark_stopped(&container).await?;
        }
        let run = container.life().run();
        self.send_signal(&container, number).await?;
        drop(turn);
        if number == Signal::KILL && !ended_within(&container, run, Some(KILL_PATIENCE)).await {
            return Err(Error::NotKilled);
        }
        Ok(())
    }

    /// Stops a container; `false` when it does not run.
    pub async fn stop(&self, request: &StopSpec) -> Result<bool> {
        let container = self.index.find(&request.container)?;
        let then = if request.until_boot { Then::Boot } else { Then::Policy };
        self.stop_found(&container, request, then).await
    }

    /// `then` says what the end is for.
    async fn stop_found(&self, container: &Arc<Container>, request: &StopSpec, then: Then) -> Result<bool> {
        let patience = request.timeout.or(container.record().config.stop_timeout).unwrap_or(PATIENCE);
        let run = {
            let _turn = container.operate().await;
            match (container.status() == Status::Restarting, request.until_boot) {
                // Recorded as it is, so that it goes on with that at boot.
                (true, true) => {
                    container.change(Life::hold)?;
                    return Ok(true);
                }
                (true, false) => {
                    self.cancel_restart(container).await?;
                    return Ok(true);
                }
                (false, _) => {}
            }
            if !container.life().has_process() {
                return Ok(false);
            }
            let signal = match request.signal.as_str() {
                "" => stop_signal(container),
                named => named.parse::<Signal>().map_err(|error| {
                    Error::cannot(format!("cannot stop container: {}", request.container), error)
                })?,
            };
            if !request.until_boot {
                self.mark_stopped(container).await?;
            }
            failpoint!("engine.stop.marked");
            container.change(|life| life.want(then).and_then(|()| life.stopping()))?;
            if container.status() == Status::Paused {
                self.thaw(container).await?;
            }
            let run = container.life().run();
            match self.send_signal(container, signal).await {
                Ok(()) | Err(Error::NotRunning(_)) => {}
                Err(error) => return Err(error),
            }
            run
        };
        failpoint!("engine.stop.signalled");
        let wait = u64::try_from(patience).ok().map(Duration::from_secs);
        if !ended_within(container, run, wait).await {
            let _turn = container.operate().await;
            if container.life().is_in(run) {
                match self.send_signal(container, Signal::KILL).await {
                    Ok(()) | Err(Error::NotRunning(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        if !ended_within(container, run, Some(KILL_PATIENCE)).await {
            return Err(Error::Conflict(format!(
                "container {} did not end after it was killed",
                container.id()
            )));
        }
        Ok(true)
    }

    /// Stops a container if it runs, and starts it.
    pub async fn restart(&self, request: &StopSpec) -> Result<()> {
        let container = self.index.find(&request.container)?;
        let stopped = self.stop_found(&container, request, Then::Start).await;
        container.change(|life| life.withdraw(Then::Start));
        stopped?;
        let _turn = container.operate().await;
        container.refuse_if_removing()?;
        if !container.life().has_process() {
            let named = &request.container;
            let started = self.start_locked(&container, By::Hand).await;
            started.map_err(|error| Error::cannot(format!("Cannot restart container {named}"), error))?;
        }
        self.publish_container(&container, "restart", BTreeMap::new());
        Ok(())
    }

    /// Sends a signal to the first process; the caller has the container's turn.
    pub(crate) async fn send_signal(&self, container: &Container, signal: Signal) -> Result<()> {
        match self.peers.kill_task(container.id(), "", signal).await {
            Ok(()) => {}
            Err(status) if status.code() == tonic::Code::NotFound => {
                return Err(Error::NotRunning(container.id().to_owned()));
            }
            Err(status) => {
                return Err(Error::peer(format!("cannot kill container {}", container.id()), status));
            }
        }
        let more = BTreeMap::from([("signal".to_owned(), signal.to_string())]);
        self.publish_container(container, "kill", more);
        Ok(())
    }

    /// Keeps the restart policy from starting it again.
    async fn mark_stopped(&self, container: &Container) -> Result<()> {
        let state = container.change(|life| {
            life.stop_by_hand();
            life.recorded()
        });
        self.store.put_state(container.id(), &state).await
    }

    /// Lets a frozen container run on; the caller has its turn.
    pub(crate) async fn thaw(&self, container: &Container) -> Result<()> {
        self.peers.resume_task(container.id()).await?;
        Ok(container.change(Life::thaw)?)
    }

    /// A container that waits for its restart is stopped by not restarting it.
    pub(crate) async fn cancel_restart(&self, container: &Container) -> Result<()> {
        let state = container.change(|life| life.cancel_restart().map(|()| life.recorded()))?;
        self.store.put_state(container.id(), &state).await?;
        self.publish_container(container, "stop", BTreeMap::new());
        Ok(())
    }
}

fn stop_signal(container: &Container) -> Signal {
    container.record().config.stop_signal.parse().unwrap_or(Signal::TERM)
}

/// Waits for a run to end; `None` waits for ever.
async fn ended_within(container: &Container, run: u64, patience: Option<Duration>) -> bool {
    let mut watch = container.watch();
    let ended = watch.wait_for(|life| !life.is_in(run));
    match patience {
        Some(patience) => tokio::time::timeout(patience, ended).await.is_ok(),
        None => ended.await.is_ok(),
    }
}
