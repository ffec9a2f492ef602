//! Freezing and thawing.

use std::collections::BTreeMap;

use gantry_api::engine::Status;

use super::life::{Illegal, Pause};
use crate::engine::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// Freezes a running container.
    pub async fn pause(&self, name: &str) -> Result<()> {
        let container = self.index.find(name)?;
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
        self.peers.pause_task(container.id()).await?;
        let state = container.change(|life| {
            life.freeze(Pause::ByHand)?;
            if let Some(health) = &mut life.health {
                health.unwatch();
            }
            Ok::<_, Illegal>(life.recorded())
        })?;
        self.store.put_state(container.id(), &state).await?;
        self.publish_container(&container, "pause", BTreeMap::new());
        Ok(())
    }

    /// Thaws a frozen container.
    pub async fn unpause(&self, name: &str) -> Result<()> {
        let container = self.index.find(name)?;
        let _turn = container.operate().await;
        if container.status() != Status::Paused {
            return Err(Error::NotPaused(container.id().to_owned()));
        }
        self.peers.resume_task(container.id()).await?;
        let state = container.change(|life| life.thaw().map(|()| life.recorded()))?;
        self.store.put_state(container.id(), &state).await?;
        self.publish_container(&container, "unpause", BTreeMap::new());
        Ok(())
    }
}
