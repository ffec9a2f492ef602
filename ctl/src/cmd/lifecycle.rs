//! `gantry stop`, `restart`, `kill`, `pause`, `unpause`, `wait`, `rename`, `rm`.

use anyhow::{Context, Result};
use gantry_api::engine::containers::{Manage as _, Run as _, Wait as _, Waiting as _};
use gantry_api::engine::{Condition, RemoveSpec, StopSpec};
use tonic::Code;

use crate::cli::command::{Kill, Stop};
use crate::cmd::{Outcome, Session, said};
use crate::output;

fn stop_spec(container: &str, arguments: &Stop) -> StopSpec {
    StopSpec {
        container: container.to_owned(),
        signal: arguments.signal.clone().unwrap_or_default(),
        timeout: arguments.time,
        until_boot: false,
    }
}

/// Stops all of them at once, because each may take its time.
pub async fn stop(session: &Session, arguments: &Stop) -> Result<u8> {
    let stops = arguments.containers.iter().map(|container| {
        let client = session.containers();
        async move { client.stop_container(stop_spec(container, arguments)).await.map_err(said) }
    });
    report(&arguments.containers, futures::future::join_all(stops).await)
}

/// Restarts all of them at once.
pub async fn restart(session: &Session, arguments: &Stop) -> Result<u8> {
    let restarts = arguments.containers.iter().map(|container| {
        let client = session.containers();
        async move { client.restart_container(stop_spec(container, arguments)).await.map_err(said) }
    });
    report(&arguments.containers, futures::future::join_all(restarts).await)
}

fn report<T>(containers: &[String], results: Vec<Result<T, tonic::Status>>) -> Result<u8> {
    let mut outcome = Outcome::default();
    for (container, result) in containers.iter().zip(results) {
        outcome.report(container, result)?;
    }
    Ok(outcome.code())
}

pub async fn kill(session: &Session, arguments: &Kill) -> Result<u8> {
    let client = session.containers();
    let mut outcome = Outcome::default();
    for container in &arguments.containers {
        let killed = client.kill_container(container, &arguments.signal).await;
        outcome.report(container, killed.map_err(said))?;
    }
    Ok(outcome.code())
}

pub async fn pause(session: &Session, containers: &[String]) -> Result<u8> {
    let client = session.containers();
    let mut outcome = Outcome::default();
    for container in containers {
        outcome.report(container, client.pause_container(container).await.map_err(said))?;
    }
    Ok(outcome.code())
}

pub async fn unpause(session: &Session, containers: &[String]) -> Result<u8> {
    let client = session.containers();
    let mut outcome = Outcome::default();
    for container in containers {
        outcome.report(container, client.unpause_container(container).await.map_err(said))?;
    }
    Ok(outcome.code())
}

/// Prints the containers' exit codes, in the order of the arguments.
pub async fn wait(session: &Session, containers: &[String]) -> Result<u8> {
    let client = session.containers();
    let mut outcome = Outcome::default();
    for container in containers {
        let waiting = client.wait_for(container, Condition::NotRunning).await;
        let Some(waiting) = outcome.succeeded(waiting.map_err(said)) else { continue };
        let exit = waiting.exit().await.map_err(said)?.context("the engine went away")?;
        output::line(exit.status_code)?;
    }
    Ok(outcome.code())
}

pub async fn rename(session: &Session, container: &str, name: &str) -> Result<()> {
    Ok(session.containers().rename_container(container, name).await.map_err(said)?)
}

pub async fn remove(session: &Session, containers: &[String], force: bool, volumes: bool) -> Result<u8> {
    let client = session.containers();
    let mut outcome = Outcome::default();
    for container in containers {
        let spec = RemoveSpec { container: container.clone(), force, volumes, link: false };
        match client.remove_container(spec).await.map_err(said) {
            // Report it, but as success.
            Err(status) if force && status.code() == Code::NotFound => output::note(status.message()),
            result => outcome.report(container, result)?,
        }
    }
    Ok(outcome.code())
}
