//! The end of a run: the engine waits for it, publishes it, records it, and only then cleans up.
//!
//! One long call to the tasks service waits for each running container; while the service is away, the call is
//! repeated. Clients that wait for the container get its exit before its network is removed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gantry_failpoint::failpoint;
use gantry_types::ProcessId;

use super::holdings::Holdings;
use super::life::{End, Illegal};
use super::validate::policy_of;
use super::{Container, network};
use crate::containers::Containers;
use crate::events::Events;
use crate::exec::Execs;
use crate::logs::Logs;
use crate::peers::{Exit, Networks, Peers, Task, Tasks};
use crate::{retry, time};

/// The exit code that is recorded if the process's exit code is unknown.
const UNKNOWN: i32 = 255;

/// What follows the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing.
    Rest,
    /// The container is removed (`--rm`). Its end is not recorded, and what the run had is not cleared, because the
    /// removal does both.
    Remove,
    /// The restart policy starts the container after this time.
    Restart(Duration),
}

/// Takes in the ends of runs. Cheap to clone.
#[derive(Clone)]
pub struct Ends {
    containers: Containers,
    events: Events,
    tasks: Tasks,
    networks: Networks,
    execs: Execs,
    logs: Logs,
    holdings: Holdings,
}

impl Ends {
    /// The ends of these containers' runs.
    pub fn new(
        containers: &Containers,
        events: &Events,
        peers: &Peers,
        execs: &Execs,
        logs: &Logs,
        holdings: &Holdings,
    ) -> Ends {
        Ends {
            containers: containers.clone(),
            events: events.clone(),
            tasks: peers.tasks.clone(),
            networks: peers.networks.clone(),
            execs: execs.clone(),
            logs: logs.clone(),
            holdings: holdings.clone(),
        }
    }

    /// Takes the end of a run in; the caller has the container's turn.
    pub(crate) async fn take_in(&self, container: &Arc<Container>, exit: Exit) -> Next {
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
                return Next::Rest;
            }
        };
        failpoint!("engine.exit.taken", infallible);
        let restart = restarts.then(|| container.backoff.lock().next(ran));
        if untold_shortage {
            self.events.publish_container(container, "oom", BTreeMap::new());
        }
        // Docker's order: a container's networks and volumes are gone before it dies.
        network::publish(&self.networks, &self.events, container, netns.as_deref(), "disconnect").await;
        self.events.publish_unmounts(container);
        self.holdings.release(container).await;
        if stopped {
            self.events.publish_container(container, "stop", BTreeMap::new());
        }
        let more = BTreeMap::from([
            ("exitCode".to_owned(), exit.code.to_string()),
            ("execDuration".to_owned(), ran.as_secs().to_string()),
        ]);
        self.events.publish_container(container, "die", more);
        self.execs.forget(container).await;

        if record.host.auto_remove {
            self.logs.shipped(container).await;
        }
        if record.host.auto_remove && !kept {
            return Next::Remove;
        }
        let state = container.life().recorded();
        let ((written, task), network) = tokio::join!(
            async {
                // Until this is written, only the tasks service knows after a crash how the process ended.
                match self.containers.store.put_state(container.id(), &state).await {
                    Ok(()) => {
                        failpoint!("engine.exit.recorded", infallible);
                        (Ok(()), self.tasks.delete(container.task()).await)
                    }
                    failed => (failed, Ok(())),
                }
            },
            self.networks.detach(container.id()),
        );
        for failed in [written, task, network].into_iter().filter_map(Result::err) {
            tracing::warn!(container = %container.id(), error = %gantry_rpc::chain(&failed), "after a container's end");
        }
        failpoint!("engine.exit.cleared", infallible);
        restart.map_or(Next::Rest, Next::Restart)
    }
}

/// Waits for a container's process to end, and returns how it ended.
pub(super) async fn exit_of(tasks: &Tasks, process: &ProcessId) -> Exit {
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
        tokio::time::sleep(retry::PAUSE).await;
    }
}
