//! Ends runs by signal: kill, stop, restart.
//!
//! The operation lock is held while a signal is sent, not while its effect is awaited.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gantry_api::engine::{Status, StopSpec};
use gantry_failpoint::failpoint;
use gantry_types::Signal;

use super::Container;
use super::life::{Life, Then};
use super::run::Runs;
use super::start::By;
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::peers::Tasks;

/// Seconds between the stop signal and SIGKILL, unless the container or the request says otherwise.
const PATIENCE: i64 = 10;
/// How long to wait for the kernel to end a killed process.
pub const KILL_PATIENCE: Duration = Duration::from_secs(60);

/// Sends a signal to a running container. If the signal is SIGKILL, the container has ended when this returns, as
/// with Docker.
pub async fn kill(
    containers: &Containers,
    tasks: &Tasks,
    events: &Events,
    name: &str,
    signal: &str,
) -> Result<()> {
    let cannot = |error| Error::cannot(format!("cannot kill container: {name}"), error);
    let number = match signal {
        "" => Signal::KILL,
        named => named.parse::<Signal>().map_err(|error| cannot(error.into()))?,
    };
    let container = containers.find(name).map_err(cannot)?;
    let turn = container.operate().await;
    let ends = number == Signal::KILL || number == stop_signal(&container);
    if container.status() == Status::Restarting {
        // No process can get the signal, but the user may not want the container to restart.
        if ends {
            cancel_restart(containers, events, &container).await?;
        }
        return Ok(());
    }
    if !container.life().has_process() {
        return Err(cannot(Error::NotRunning(container.id().to_owned())));
    }
    if number == Signal::KILL && container.status() == Status::Paused {
        thaw(tasks, &container).await?;
    }
    if ends {
        mark_stopped(containers, &container).await?;
    }
    let run = container.life().run();
    send_signal(tasks, events, &container, number).await?;
    drop(turn);
    if number == Signal::KILL && !ended_within(&container, run, Some(KILL_PATIENCE)).await {
        return Err(Error::NotKilled);
    }
    Ok(())
}

/// Stops a container; returns `false` if it does not run.
pub async fn stop(
    containers: &Containers,
    tasks: &Tasks,
    events: &Events,
    request: &StopSpec,
) -> Result<bool> {
    let container = containers.find(&request.container)?;
    let then = if request.until_boot { Then::Boot } else { Then::Policy };
    stop_found(containers, tasks, events, &container, request, then).await
}

/// Stops a container; `then` says what follows the end.
async fn stop_found(
    containers: &Containers,
    tasks: &Tasks,
    events: &Events,
    container: &Arc<Container>,
    request: &StopSpec,
    then: Then,
) -> Result<bool> {
    let patience = request.timeout.or(container.record().config.stop_timeout).unwrap_or(PATIENCE);
    let run = {
        let _turn = container.operate().await;
        match (container.status() == Status::Restarting, request.until_boot) {
            // The record keeps saying that the container restarts, so that it continues at boot.
            (true, true) => {
                container.change(Life::hold)?;
                return Ok(true);
            }
            (true, false) => {
                cancel_restart(containers, events, container).await?;
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
                Error::cannot(format!("cannot stop container: {}", request.container), error.into())
            })?,
        };
        if !request.until_boot {
            mark_stopped(containers, container).await?;
        }
        failpoint!("engine.stop.marked");
        container.change(|life| life.want(then).and_then(|()| life.stopping()))?;
        if container.status() == Status::Paused {
            thaw(tasks, container).await?;
        }
        let run = container.life().run();
        match send_signal(tasks, events, container, signal).await {
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
            match send_signal(tasks, events, container, Signal::KILL).await {
                Ok(()) | Err(Error::NotRunning(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
    if !ended_within(container, run, Some(KILL_PATIENCE)).await {
        return Err(Error::Conflict(format!("container {} did not end after it was killed", container.id())));
    }
    Ok(true)
}

/// Sends a signal to the first process. The caller must hold the operation lock.
pub(crate) async fn send_signal(
    tasks: &Tasks,
    events: &Events,
    container: &Container,
    signal: Signal,
) -> Result<()> {
    match tasks.kill(&container.init(), signal).await {
        Ok(()) => {}
        Err(error) if error.peer_code() == Some(tonic::Code::NotFound) => {
            return Err(Error::NotRunning(container.id().to_owned()));
        }
        Err(error) => return Err(error),
    }
    let more = BTreeMap::from([("signal".to_owned(), signal.to_string())]);
    events.publish_container(container, "kill", more);
    Ok(())
}

/// Records that the restart policy must not start the container.
async fn mark_stopped(containers: &Containers, container: &Container) -> Result<()> {
    let state = container.change(|life| {
        life.stop_by_hand();
        life.recorded()
    });
    containers.write_state(container, &state).await
}

/// Thaws a frozen container. The caller must hold its operation lock.
pub(crate) async fn thaw(tasks: &Tasks, container: &Container) -> Result<()> {
    tasks.resume(container.task()).await?;
    Ok(container.change(Life::thaw)?)
}

/// Stops a container that waits for its restart, by cancelling the restart.
pub(crate) async fn cancel_restart(
    containers: &Containers,
    events: &Events,
    container: &Container,
) -> Result<()> {
    let state = container.change(|life| life.cancel_restart().map(|()| life.recorded()))?;
    containers.write_state(container, &state).await?;
    events.publish_container(container, "stop", BTreeMap::new());
    Ok(())
}

/// Stops a container if it runs, and then starts it.
pub async fn restart(
    containers: &Containers,
    tasks: &Tasks,
    events: &Events,
    runs: &Arc<Runs>,
    request: &StopSpec,
) -> Result<()> {
    let container = containers.find(&request.container)?;
    let stopped = stop_found(containers, tasks, events, &container, request, Then::Start).await;
    container.change(|life| life.withdraw(Then::Start));
    stopped?;
    let _turn = container.operate().await;
    container.refuse_if_removing()?;
    if !container.life().has_process() {
        let named = &request.container;
        let started = runs.begin(&container, By::Hand).await;
        started.map_err(|error| Error::cannot(format!("Cannot restart container {named}"), error))?;
    }
    events.publish_container(&container, "restart", BTreeMap::new());
    Ok(())
}

fn stop_signal(container: &Container) -> Signal {
    container.record().config.stop_signal.parse().unwrap_or(Signal::TERM)
}

/// Waits for a run to end; with `None`, without a limit.
async fn ended_within(container: &Container, run: u64, patience: Option<Duration>) -> bool {
    let mut watch = container.watch();
    let ended = watch.wait_for(|life| !life.is_in(run));
    match patience {
        Some(patience) => tokio::time::timeout(patience, ended).await.is_ok(),
        None => ended.await.is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Stage;

    #[tokio::test]
    async fn a_signal_reaches_what_runs_and_nothing_else() {
        let stage = Stage::new();
        let (tasks, events) = (&stage.peers.tasks, &stage.events);
        let container = stage.running("web").await;
        stage.made("idle").await;
        kill(&stage.containers, tasks, events, "web", "SIGHUP").await.expect("sent");
        let wait = tasks.wait(&container.init()).await.expect("ended");
        assert_eq!(wait.code, 128 + 1);
        let error = kill(&stage.containers, tasks, events, "idle", "").await.expect_err("it does not run");
        assert!(error.to_string().starts_with("cannot kill container: idle: container "), "{error}");
        let error = kill(&stage.containers, tasks, events, "web", "SIGNONE").await.expect_err("no signal");
        assert!(error.to_string().starts_with("cannot kill container: web: "), "{error}");
        assert_eq!(stage.told(), ["kill"]);
    }

    #[tokio::test]
    async fn a_stop_is_written_down_before_the_signal_and_says_what_does_not_run() {
        let mut stage = Stage::new();
        let container = stage.running("web").await;
        stage.made("idle").await;
        let of = |container: &str| StopSpec { container: container.to_owned(), ..StopSpec::default() };
        stage.lose_tasks();
        let (tasks, events) = (&stage.peers.tasks, &stage.events);
        let idle = stop(&stage.containers, tasks, events, &of("idle")).await.expect("nothing to do");
        assert!(!idle, "it does not run");
        let error = stop(&stage.containers, tasks, events, &of("web")).await.expect_err("tasks is away");
        assert!(error.is_passing(), "{error}");
        let (_, life) = stage.written(&container).await;
        assert!(life.past().stopped_by_hand, "its policy does not start it again");
    }
}
