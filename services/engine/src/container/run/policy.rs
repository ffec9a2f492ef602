//! Starts that the engine makes by a container's restart policy.

use std::sync::Arc;
use std::time::Duration;

use super::Runs;
use crate::container::Container;
use crate::container::start::By;
use crate::container::validate::policy_of;
use crate::error::Error;
use crate::retry;

/// How long a container waits for those that it is linked to, which start at the same time.
const LINKED: Duration = Duration::from_secs(30);

impl Runs {
    /// Starts a container again after a delay, unless it has changed meanwhile.
    pub(super) fn restart_later(self: &Arc<Self>, container: &Arc<Container>, delay: Duration) {
        let (runs, container) = (Arc::clone(self), Arc::clone(container));
        let run = container.life().run();
        self.context.spawn("restart a container", async move {
            tokio::time::sleep(delay).await;
            let Ok(_permit) = runs.permits.acquire().await else { return };
            let _turn = container.operate().await;
            let still = {
                let life = container.life();
                life.run() == run && life.is_due()
            };
            if still && let Err(error) = runs.begin(&container, By::Policy).await {
                tracing::warn!(container = %container.id(), error = %gantry_rpc::chain(&error), "container not restarted");
                runs.after_failed_restart(&container).await;
            }
        });
    }

    /// A restart that fails counts for the restart policy like a run that failed: the policy decides whether to try
    /// again.
    async fn after_failed_restart(self: &Arc<Self>, container: &Arc<Container>) {
        let record = container.record();
        let policy = policy_of(&record.host).unwrap_or_default();
        let again = {
            let life = container.life();
            let past = life.past();
            policy.after_exit(past.exit_code, past.restart_count, past.stopped_by_hand)
        };
        if !again {
            return;
        }
        let delay = container.backoff.lock().next(Duration::ZERO);
        let written = match container.change(|life| life.retry().map(|()| life.recorded())) {
            Ok(state) => self.containers.store.put_state(container.id(), &state).await,
            Err(illegal) => Err(illegal.into()),
        };
        if let Err(error) = written {
            tracing::error!(container = %container.id(), error = %gantry_rpc::chain(&error), "state not recorded");
        }
        self.restart_later(container, delay);
    }

    /// Applies the restart policy at the start of the engine.
    pub(crate) fn at_boot(self: &Arc<Self>, container: &Arc<Container>) {
        let record = container.record();
        let policy = policy_of(&record.host).unwrap_or_default();
        let wanted = {
            let life = container.life();
            let past = life.past();
            let ran_before = past.started_at != 0;
            let at_boot = policy.at_boot(past.exit_code, past.restart_count, past.stopped_by_hand);
            !life.is_removed() && !life.has_process() && (life.is_due() || ran_before && at_boot)
        };
        if !wanted {
            return;
        }
        let (runs, container) = (Arc::clone(self), Arc::clone(container));
        self.context.spawn("start a container by its policy", async move {
            let (mut run, begun) = (0, tokio::time::Instant::now());
            loop {
                let Ok(_permit) = runs.permits.acquire().await else { return };
                let turn = container.operate().await;
                let wanted = {
                    let life = container.life();
                    !life.is_going() && !life.has_process() && life.run() == run
                };
                if !wanted {
                    return;
                }
                match runs.begin(&container, By::Policy).await {
                    Ok(()) => return,
                    // The attempt may have begun a run.
                    Err(error) if error.is_passing() => run = container.life().run(),
                    Err(Error::ChildNotRunning { .. }) if begun.elapsed() < LINKED => {}
                    Err(error) => {
                        tracing::warn!(container = %container.id(), error = %gantry_rpc::chain(&error), "container not started at boot");
                        return;
                    }
                }
                drop(turn);
                tokio::time::sleep(retry::PAUSE).await;
            }
        });
    }
}
