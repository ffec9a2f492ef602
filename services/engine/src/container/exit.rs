//! The end of a run: waited for, published, written, and only then cleared away.
//!
//! One long call to tasks waits for each running container; while tasks is away it is made again and again. Who waits for the
//! container hears of the exit before its network is taken down.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gantry_failpoint::failpoint;

use super::Container;
use super::life::{End, Illegal};
use super::start::By;
use super::validate::policy_of;
use crate::engine::Engine;
use crate::peers::{Exit, Shortage, Task};
use crate::time;

/// Between attempts to reach tasks.
const RETRY: Duration = Duration::from_millis(200);
/// Between attempts to hear of events.
pub(super) const RESUBSCRIBE: Duration = Duration::from_millis(20);
/// What is recorded when nobody knows how the process ended.
const UNKNOWN: i32 = 255;

impl Engine {
    /// Waits in the background for a container's run to end.
    pub(crate) fn monitor(&self, container: &Arc<Container>, run: u64) {
        let (engine, container) = (self.clone(), Arc::clone(container));
        self.spawn("wait for a container", async move {
            let exit = engine.exit_of(container.id()).await;
            let _turn = container.operate().await;
            if container.life().is_in(run) {
                engine.ended(&container, exit).await;
            }
        });
    }

    /// How a container's process ended, as soon as it has.
    async fn exit_of(&self, id: &str) -> Exit {
        loop {
            match self.peers.wait_task(id, "").await {
                Ok(exit) => return exit,
                Err(status) if status.code() == tonic::Code::NotFound => {
                    // Tasks may not have found its shims yet after a start of its own.
                    match self.peers.task(id, "").await {
                        Ok(Task::Absent) => return Exit { code: UNKNOWN, at: time::now() },
                        Ok(Task::Stopped(exit)) => return exit,
                        Ok(_) | Err(_) => {}
                    }
                }
                Err(status) => tracing::debug!(container = id, error = status.message(), "waiting for tasks"),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Takes the end of a run in; the caller has the container's turn.
    pub(crate) async fn ended(&self, container: &Arc<Container>, exit: Exit) {
        let record = container.record();
        let policy = policy_of(&record.host).unwrap_or_default();
        let finished_at = if exit.at == 0 { time::now() } else { exit.at };
        // Whoever asked for it hears of the end before this is over: what is wanted is read with it.
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
            self.publish_container(container, "oom", BTreeMap::new());
        }
        // Docker's order: a container that dies has lost what it had.
        self.publish_networks(container, netns.as_deref(), "disconnect").await;
        self.publish_unmounts(container);
        self.release_volumes(container).await;
        if stopped {
            self.publish_container(container, "stop", BTreeMap::new());
        }
        let more = BTreeMap::from([
            ("exitCode".to_owned(), exit.code.to_string()),
            ("execDuration".to_owned(), ran.as_secs().to_string()),
        ]);
        self.publish_container(container, "die", more);
        self.forget_execs(container).await;
        self.release_shm(container).await;

        if record.host.auto_remove {
            self.shipped(container).await;
        }
        if record.host.auto_remove && !kept {
            // The removal writes down that it goes on, and takes everything else down itself.
            if let Err(error) = self.remove_locked(container).await {
                tracing::error!(container = %container.id(), error = %gantry_rpc::chain(&error), "container not removed after its end");
            }
            return;
        }
        let state = container.life().recorded();
        let ((written, task), network) = tokio::join!(
            async {
                // Until it is written here, only tasks knows after a crash how the process ended.
                match self.store.put_state(container.id(), &state).await {
                    Ok(()) => {
                        failpoint!("engine.exit.recorded", infallible);
                        (Ok(()), self.peers.delete_task(container.id()).await)
                    }
                    failed => (failed, Ok(())),
                }
            },
            self.peers.detach(container.id()),
        );
        for failed in [written, task, network].into_iter().filter_map(Result::err) {
            tracing::warn!(container = %container.id(), error = %gantry_rpc::chain(&failed), "after a container's end");
        }
        failpoint!("engine.exit.cleared", infallible);
        if let Some(delay) = restart {
            self.restart_later(container, delay);
        }
    }

    /// Starts a container again after a while, unless somebody has done something with it meanwhile.
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

    /// A start by the policy that failed is to the policy what a run is that failed: it says whether to try again.
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
            Ok(state) => self.store.put_state(container.id(), &state).await,
            Err(illegal) => Err(illegal.into()),
        };
        if let Err(error) = written {
            tracing::error!(container = %container.id(), error = %gantry_rpc::chain(&error), "state not recorded");
        }
        self.restart_later(container, delay);
    }

    /// Listens to tasks' reports of containers that ran out of memory.
    pub(crate) fn listen_for_oom(&self) {
        let engine = self.clone();
        self.spawn("listen for memory shortage", async move {
            loop {
                if let Ok(mut events) = engine.peers.shortages().await {
                    while let Some(shortage) = events.next().await {
                        engine.take_oom(&shortage);
                    }
                }
                // What is reported meanwhile is not heard of.
                tokio::time::sleep(RESUBSCRIBE).await;
            }
        });
    }

    fn take_oom(&self, shortage: &Shortage) {
        let Ok(container) = self.index.find(&shortage.container) else { return };
        if container.change(|life| life.take_shortage(shortage.at)) {
            self.publish_container(&container, "oom", BTreeMap::new());
            let engine = self.clone();
            self.spawn("record a memory shortage", async move {
                let _turn = container.operate().await;
                if container.life().is_removed() {
                    return;
                }
                let state = container.life().recorded();
                if let Err(error) = engine.store.put_state(container.id(), &state).await {
                    tracing::warn!(container = %container.id(), error = %gantry_rpc::chain(&error), "state not recorded");
                }
            });
        }
    }
}
