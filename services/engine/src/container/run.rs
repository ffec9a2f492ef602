//! Runs of containers, from their starts to what follows their ends: a removal, a restart, or nothing.
//!
//! ```text
//! start ──▶ run ──▶ end ──▶ rest
//!   ▲                │└───▶ removal (`--rm`)
//!   └── after a delay┘
//! ```

mod policy;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use gantry_api::engine::Status;
use gantry_daemon::Context;
use tokio::sync::Semaphore;

use super::Container;
use super::exit::{Ends, Next, exit_of};
use super::health::Probes;
use super::remove::Removal;
use super::start::{By, Starts};
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::peers::{Exit, Tasks};
use crate::restart::Backoff;

/// How many containers the engine itself may start at once.
const STARTS: usize = 8;

/// The runs of containers. What waits for their ends shares this value.
pub struct Runs {
    containers: Containers,
    tasks: Tasks,
    starts: Starts,
    ends: Ends,
    removal: Removal,
    probes: Probes,
    /// Permits for starts by the engine itself.
    permits: Semaphore,
    context: Context,
}

impl Runs {
    /// Runs of these containers. Work in the background ends with the service of `context`.
    pub fn new(
        containers: &Containers,
        tasks: &Tasks,
        starts: Starts,
        ends: Ends,
        removal: &Removal,
        probes: &Probes,
        context: &Context,
    ) -> Arc<Runs> {
        Arc::new(Runs {
            containers: containers.clone(),
            tasks: tasks.clone(),
            starts,
            ends,
            removal: removal.clone(),
            probes: probes.clone(),
            permits: Semaphore::new(STARTS),
            context: context.clone(),
        })
    }

    /// Starts a container at a user's request; returns `false` if it runs already.
    pub async fn start(self: &Arc<Self>, name: &str) -> Result<bool> {
        let container = self.containers.find(name)?;
        let turn = container.operate().await;
        container.refuse_if_removing()?;
        match container.status() {
            Status::Running => return Ok(false),
            Status::Paused => {
                return Err(Error::Conflict(
                    "cannot start a paused container, try unpause instead".to_owned(),
                ));
            }
            _ => {}
        }
        *container.backoff.lock() = Backoff::default();
        let result = self.begin(&container, By::Hand).await;
        if result.is_err() && container.record().host.auto_remove {
            self.removal.remove_locked(&container).await?;
        }
        drop(turn);
        result.map(|()| true)
    }

    /// Starts a container and watches it. The caller must hold its operation lock.
    pub(crate) async fn begin(self: &Arc<Self>, container: &Arc<Container>, by: By) -> Result<()> {
        let run = self.starts.start(container, by).await?;
        self.watch(container, run);
        Ok(())
    }

    /// Waits in the background for a container's run to end, and probes its health until then.
    pub(crate) fn watch(self: &Arc<Self>, container: &Arc<Container>, run: u64) {
        self.probes.watch(container, run);
        let (runs, container) = (Arc::clone(self), Arc::clone(container));
        self.context.spawn("wait for a container", async move {
            let exit = exit_of(&runs.tasks, &container.init()).await;
            let _turn = container.operate().await;
            if container.life().is_in(run) {
                runs.ended(&container, exit).await;
            }
        });
    }

    /// Takes the end of a run in, and begins what follows it. The caller must hold the operation lock.
    pub(crate) async fn ended(self: &Arc<Self>, container: &Arc<Container>, exit: Exit) {
        match self.ends.take_in(container, exit).await {
            Next::Rest => {}
            Next::Restart(delay) => self.restart_later(container, delay),
            Next::Remove => {
                if let Err(error) = self.removal.remove_locked(container).await {
                    tracing::error!(container = %container.id(), error = %gantry_rpc::chain(&error), "container not removed after its end");
                }
            }
        }
    }
}
