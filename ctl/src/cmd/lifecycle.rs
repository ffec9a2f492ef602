//! `gantry stop`, `restart`, `kill`, `pause`, `unpause`, `wait`, `rename`, `rm`.

use anyhow::{Context, Result};
use gantry_proto::gantry::engine::v1::{
    ContainerRequest, KillRequest, RemoveRequest, RenameRequest, StopRequest, WaitRequest, wait_request,
};
use tonic::Code;

use crate::cli::command::{Kill, Stop};
use crate::cmd::foreground::exit_of;
use crate::cmd::{Outcome, Session};
use crate::output;

fn stop_request(container: &str, arguments: &Stop) -> StopRequest {
    StopRequest {
        container: container.to_owned(),
        signal: arguments.signal.clone().unwrap_or_default(),
        timeout: arguments.time,
        until_boot: false,
    }
}

/// Stops all of them at once: each may take its time.
pub async fn stop(session: &Session, arguments: &Stop) -> Result<u8> {
    let stops = arguments.containers.iter().map(|container| {
        let mut client = session.peers.containers();
        async move { client.stop(stop_request(container, arguments)).await }
    });
    report(&arguments.containers, futures::future::join_all(stops).await)
}

/// Restarts all of them at once.
pub async fn restart(session: &Session, arguments: &Stop) -> Result<u8> {
    let restarts = arguments.containers.iter().map(|container| {
        let mut client = session.peers.containers();
        async move { client.restart(stop_request(container, arguments)).await }
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
    let mut client = session.peers.containers();
    let mut outcome = Outcome::default();
    for container in &arguments.containers {
        let request = KillRequest { container: container.clone(), signal: arguments.signal.clone() };
        outcome.report(container, client.kill(request).await)?;
    }
    Ok(outcome.code())
}

pub async fn pause(session: &Session, containers: &[String]) -> Result<u8> {
    let mut client = session.peers.containers();
    let mut outcome = Outcome::default();
    for container in containers {
        outcome.report(container, client.pause(ContainerRequest { container: container.clone() }).await)?;
    }
    Ok(outcome.code())
}

pub async fn unpause(session: &Session, containers: &[String]) -> Result<u8> {
    let mut client = session.peers.containers();
    let mut outcome = Outcome::default();
    for container in containers {
        outcome.report(container, client.unpause(ContainerRequest { container: container.clone() }).await)?;
    }
    Ok(outcome.code())
}

/// Prints each container's exit code, in their order.
pub async fn wait(session: &Session, containers: &[String]) -> Result<u8> {
    let mut client = session.peers.containers();
    let mut outcome = Outcome::default();
    for container in containers {
        let condition = wait_request::Condition::NotRunning.into();
        let request = WaitRequest { container: container.clone(), condition };
        let Some(exit) = outcome.succeeded(client.wait(request).await) else { continue };
        let exit = exit_of(exit.into_inner()).await?.context("the engine went away")?;
        output::line(exit.status_code)?;
    }
    Ok(outcome.code())
}

pub async fn rename(session: &Session, container: String, name: String) -> Result<()> {
    session.peers.containers().rename(RenameRequest { container, name }).await?;
    Ok(())
}

pub async fn remove(session: &Session, containers: &[String], force: bool, volumes: bool) -> Result<u8> {
    let mut client = session.peers.containers();
    let mut outcome = Outcome::default();
    for container in containers {
        let request = RemoveRequest { container: container.clone(), force, volumes, link: false };
        match client.remove(request).await {
            // It is said, but it is what was wanted.
            Err(status) if force && status.code() == Code::NotFound => output::note(status.message()),
            result => outcome.report(container, result)?,
        }
    }
    Ok(outcome.code())
}
