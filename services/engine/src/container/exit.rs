//! The end of a run: the engine waits for it, publishes it, records it, and only then cleans up.
//!
//! One long call to the tasks service waits for each running container; while the service is away, the call is
//! repeated. Clients that wait for the container get its exit before its network is removed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gantry_failpoint::failpoint;
use gantry_types::ProcessId;

use super::Container;
use super::life::{End, Illegal};
use super::start::By;
use super::validate::policy_of;
use crate::engine::Engine;
use crate::peers::{Exit, Task, Tasks};
use crate::time;

/// Time between attempts to reach the tasks service.
const RETRY: Duration = Duration::from_millis(200);
/// Time between attempts to subscribe to events.
pub(super) const RESUBSCRIBE: Duration = Duration::from_millis(20);
/// The exit code that is recorded if the process's exit code is unknown.
const UNKNOWN: i32 = 255;

impl Engine {
    /// Waits in the background for a container's run to end.
    pub(crate) fn monitor(&self, container: &Arc<Container>, run: u64) {
        let (engine, container) = (self.clone(), Arc::clone(container));
        self.spawn("wait for a container", async move {
            let exit = exit_of(&engine.peers.tasks, &container.init()).await;
            let _turn = container.operate().await;
            if container.life().is_in(run) {
                engine.ended(&container, exit).await;
            }
        });
    }

    /// Takes the end of a run in; the caller has the container's turn.
    pub(crate) async fn ended(&self, container: &Arc<Container>, exit: Exit) {
        let record = container.record();
        let policy = policy_of(&record.host).unwrap_or_default();
        let finished_at = if exit.at == 0 { time::now() } else { exit.at };
        // The wishes for the time after the end are read in the same change, so that their callers see the end first.
        let ended = container.change(|life| {
            let end = life.end(exit.code, finished_at, |past| {
                let again = policy.after_exit(exit.code, past.restart_count, past.stopped_by_hand);
                again && !record.host.auto_remove
            })?;
            if let Some(health) = &mut life.health {
                health.unwatch();
            }
            Ok::<_, Illegal>(end)
        });
        let End { ran, netns, restarts, untold_shortage, stopped, kept } = match ended {
            Ok(end) => end,
            Err(error) => {
                tracing::error!(container = %container.id(), %error, "end not taken in");
                return;
            }
        };
        failpoint!("engine.exit.taken", infallible);
        let restart = restarts.then(|| container.backoff.lock().next(ran));
        if untold_shortage {
            self.events.publish_container(container, "oom", BTreeMap::new());
        }
        // Docker's order: a container's networks and volumes are gone before it dies.
        self.publish_networks(container, netns.as_deref(), "disconnect").await;
        self.events.publish_unmounts(container);
        self.release_volumes(container).await;
        if stopped {
            self.events.publish_container(container, "stop", BTreeMap::new());
        }
        let more = BTreeMap::from([
            ("exitCode".to_owned(), exit.code.to_string()),
            ("execDuration".to_owned(), ran.as_secs().to_string()),
        ]);
        self.events.publish_container(container, "die", more);
        self.execs.forget(container).await;
        self.release_shm(container).await;

        if record.host.auto_remove {
            self.logs.shipped(container).await;
        }
        if record.host.auto_remove && !kept {
            // The removal records that it continues, and removes everything else itself.
            if let Err(error) = self.remove_locked(container).await {
                tracing::error!(container = %container.id(), error = %gantry_rpc::chain(&error), "container not removed after its end");
            }
            return;
        }
        let state = container.life().recorded();
        let ((written, task), network) = tokio::join!(
            async {
                // Until this is written, only the tasks service knows after a crash how the process ended.
                match self.containers.store.put_state(container.id(), &state).await {
                    Ok(()) => {
                        failpoint!("engine.exit.recorded", infallible);
                        (Ok(()), self.peers.tasks.delete(container.task()).await)
                    }
                    failed => (failed, Ok(())),
                }
            },
            self.peers.networks.detach(container.id()),
        );
        for failed in [written, task, network].into_iter().filter_map(Result::err) {
            tracing::warn!(container = %container.id(), error = %gantry_rpc::chain(&failed), "after a container's end");
        }
        failpoint!("engine.exit.cleared", infallible);
        if let Some(delay) = restart {
            self.restart_later(container, delay);
        }
    }

    /// Starts a container again after a delay, unless it has changed meanwhile.
    pub(crate) fn restart_later(&self, container: &Arc<Container>, delay: Duration) {
        let (engine, container) = (self.clone(), Arc::clone(container));
        let run = container.life().run();
        self.spawn("restart a container", async move {
            tokio::time::sleep(delay).await;
            let Ok(_permit) = engine.starts.acquire().await else { return };
            let _turn = container.operate().await;
            let still = {
                let life = container.life();
                life.run() == run && life.is_due()
            };
            if still && let Err(error) = engine.start_locked(&container, By::Policy).await {
                tracing::warn!(container = %container.id(), error = %gantry_rpc::chain(&error), "container not restarted");
                engine.after_failed_restart(&container).await;
            }
        });
    }

    /// A restart that fails counts for the restart policy like a run that failed: the policy decides whether to try
    /// again.
    async fn after_failed_restart(&self, container: &Arc<Container>) {
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
}

/// Waits for a container's process to end, and returns how it ended.
async fn exit_of(tasks: &Tasks, process: &ProcessId) -> Exit {
    loop {
        match tasks.wait(process).await {
            Ok(exit) => return exit,
            Err(error) if error.peer_code() == Some(tonic::Code::NotFound) => {
                // After its own start, the tasks service may not have found its shims yet.
                match tasks.get(process).await {
                    Ok(Task::Absent) => return Exit { code: UNKNOWN, at: time::now() },
                    Ok(Task::Stopped(exit)) => return exit,
                    Ok(_) | Err(_) => {}
                }
            }
            Err(error) => {
                tracing::debug!(container = %process.container, error = %gantry_rpc::chain(&error), "waiting for tasks");
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}
