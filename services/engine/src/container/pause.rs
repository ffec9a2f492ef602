//! Freezes and thaws containers.

use std::collections::BTreeMap;

use gantry_api::engine::Status;

use super::life::{Illegal, Pause};
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::peers::Tasks;

/// Freezes a running container.
pub async fn pause(containers: &Containers, tasks: &Tasks, events: &Events, name: &str) -> Result<()> {
    let container = containers.find(name)?;
    let _turn = container.operate().await;
    match container.status() {
        Status::Running => {}
        Status::Paused => {
            return Err(Error::Conflict(format!("Container {} is already paused", container.id())));
        }
        Status::Restarting => {
            return Err(Error::Conflict(format!(
                "container {} is restarting, wait until the container is running",
                container.id()
            )));
        }
        _ => return Err(Error::NotRunning(container.id().to_owned())),
    }
    tasks.pause(container.task()).await?;
    let state = container.change(|life| {
        life.freeze(Pause::ByHand)?;
        if let Some(health) = &mut life.health {
            health.unwatch();
        }
        Ok::<_, Illegal>(life.recorded())
    })?;
    containers.write_state(&container, &state).await?;
    events.publish_container(&container, "pause", BTreeMap::new());
    Ok(())
}

/// Thaws a frozen container.
pub async fn unpause(containers: &Containers, tasks: &Tasks, events: &Events, name: &str) -> Result<()> {
    let container = containers.find(name)?;
    let _turn = container.operate().await;
    if container.status() != Status::Paused {
        return Err(Error::NotPaused(container.id().to_owned()));
    }
    tasks.resume(container.task()).await?;
    let state = container.change(|life| life.thaw().map(|()| life.recorded()))?;
    containers.write_state(&container, &state).await?;
    events.publish_container(&container, "unpause", BTreeMap::new());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Stage;

    #[tokio::test]
    async fn a_container_is_frozen_once_and_it_is_written_down() {
        let stage = Stage::new();
        let container = stage.running("web").await;
        let (tasks, events) = (&stage.peers.tasks, &stage.events);
        pause(&stage.containers, tasks, events, "web").await.expect("frozen");
        assert_eq!(container.status(), Status::Paused);
        assert_eq!(stage.written(&container).await.1.status(), Status::Paused);
        let again = pause(&stage.containers, tasks, events, "web").await.expect_err("it is frozen");
        assert_eq!(again.to_string(), format!("Container {} is already paused", container.id()));
        unpause(&stage.containers, tasks, events, "web").await.expect("thawed");
        assert_eq!(stage.written(&container).await.1.status(), Status::Running);
        assert_eq!(stage.told(), ["pause", "unpause"]);
    }

    #[tokio::test]
    async fn what_tasks_could_not_freeze_runs_on() {
        let mut stage = Stage::new();
        let container = stage.running("web").await;
        stage.lose_tasks();
        let error = pause(&stage.containers, &stage.peers.tasks, &stage.events, "web").await;
        assert!(error.expect_err("tasks is away").is_passing());
        assert_eq!(container.status(), Status::Running);
        assert!(stage.told().is_empty(), "nobody was told of what did not happen");
    }
}
