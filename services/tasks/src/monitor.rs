//! The restart monitor: restarts or stops tasks as the labels of their containers say. containerd's clients write the
//! labels.
//!
//! | label `containerd.io/restart.…` | meaning |
//! | --- | --- |
//! | `status` | `running` or `stopped`: the wanted state; the monitor ignores containers without it |
//! | `policy` | `always` (the default), `on-failure[:N]`, `unless-stopped` |
//! | `count` | how often the monitor has restarted the task; the monitor writes it |
//! | `loguri` | where the output goes |
//! | `explicitly-stopped` | `true`: a person stopped it |

use std::sync::Arc;
use std::time::Duration;

use gantry_api::Peers;
use gantry_api::snapshots::{self, Mount, Prepare as _, Service as _};
use gantry_api::tasks::records::{Container, Part, Update};
use gantry_api::tasks::{CreateTask, Stdio};
use gantry_types::filter::FilterSet;
use gantry_types::{ContainerId, Labels, Namespace, Relabel};

use crate::error::Error;
use crate::task::process::Phase;
use crate::tasks::Tasks;

const INTERVAL: Duration = Duration::from_secs(10);
const STATUS: &str = "containerd.io/restart.status";
const POLICY: &str = "containerd.io/restart.policy";
const COUNT: &str = "containerd.io/restart.count";
const LOG: &str = "containerd.io/restart.loguri";
const EXPLICITLY_STOPPED: &str = "containerd.io/restart.explicitly-stopped";
const KILL: u32 = 9;

/// The state of a container's task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Now {
    NoTask,
    Alive,
    Ended(u32),
}

/// What the monitor has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Nothing,
    Run,
    Stop,
}

/// Looks at all containers every ten seconds, for ever.
pub async fn run(tasks: Arc<Tasks>, peers: Peers) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        if let Err(error) = look(&tasks, &peers).await {
            tracing::warn!(error = gantry_rpc::chain(&error), "containers to be restarted cannot be listed");
        }
    }
}

async fn look(tasks: &Arc<Tasks>, peers: &Peers) -> Result<(), Error> {
    let filters = FilterSet::parse(&[format!("labels.{STATUS:?}")])?;
    for namespace in tasks.containers().namespaces()? {
        for record in tasks.containers().list(&namespace, &filters)? {
            let id = record.container.id.clone();
            if let Err(error) = one(tasks, peers, &namespace, record.container).await {
                tracing::warn!(container = %id, %namespace, error = gantry_rpc::chain(&error), "not restarted");
            }
        }
    }
    Ok(())
}

async fn one(
    tasks: &Arc<Tasks>,
    peers: &Peers,
    namespace: &Namespace,
    container: Container,
) -> Result<(), Error> {
    let task = tasks.get(namespace, container.id.as_str()).ok();
    let now = match task.as_ref().map(|task| task.init().phase()) {
        None => Now::NoTask,
        Some(Phase::Exited(exit)) => Now::Ended(exit.status),
        Some(_) => Now::Alive,
    };
    match wish(&container.labels, now) {
        Wish::Nothing => Ok(()),
        Wish::Stop => match task {
            Some(task) => task.client().kill("", KILL, true).await,
            None => Ok(()),
        },
        Wish::Run => {
            if now != Now::NoTask {
                tasks.delete(namespace, container.id.as_str()).await?;
            }
            restart(tasks, peers, namespace, container).await
        }
    }
}

/// What the labels ask for.
fn wish(labels: &Labels, now: Now) -> Wish {
    let label = |name: &str| labels.get(name).map(String::as_str).unwrap_or_default();
    match (label(STATUS), now) {
        ("stopped", Now::Alive) => return Wish::Stop,
        ("running", Now::NoTask | Now::Ended(_)) => {}
        _ => return Wish::Nothing,
    }
    let (policy, limit) = label(POLICY).split_once(':').unwrap_or((label(POLICY), ""));
    let again = match policy {
        "" | "always" => true,
        "unless-stopped" => label(EXPLICITLY_STOPPED) != "true",
        "on-failure" => {
            let limit = limit.parse::<u64>().unwrap_or(0);
            now != Now::Ended(0) && (limit == 0 || label(COUNT).parse::<u64>().unwrap_or(0) < limit)
        }
        _ => false,
    };
    if again { Wish::Run } else { Wish::Nothing }
}

async fn restart(
    tasks: &Arc<Tasks>,
    peers: &Peers,
    namespace: &Namespace,
    container: Container,
) -> Result<(), Error> {
    let rootfs = mounts(peers, namespace, &container).await?;
    let log = container.labels.get(LOG).cloned().unwrap_or_default();
    let id = container.id.clone();
    count(tasks, namespace, &id, &container.labels).await?;
    let stdio = Stdio { stdout: log.clone(), stderr: log, ..Stdio::default() };
    let request = CreateTask { rootfs, stdio, ..CreateTask::of(&id) };
    tasks.create(namespace, request).await?;
    let task = tasks.get(namespace, id.as_str())?;
    tasks.start(task, "").await?;
    tracing::info!(container = %id, %namespace, "restarted");
    Ok(())
}

async fn mounts(peers: &Peers, namespace: &Namespace, container: &Container) -> Result<Vec<Mount>, Error> {
    // Parsing fails only for an empty key.
    let Ok(key) = container.snapshot_key.parse() else { return Ok(Vec::new()) };
    let snapshotter = snapshots::Client::new(peers).snapshotter(&container.snapshotter);
    let mounts = snapshotter.mounts(namespace, &key).await;
    mounts.map_err(|failure| Error::Peer { peer: failure.service, status: failure.status })
}

async fn count(
    tasks: &Arc<Tasks>,
    namespace: &Namespace,
    id: &ContainerId,
    labels: &Labels,
) -> Result<(), Error> {
    let before = labels.get(COUNT).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let count = Relabel::Each(Labels::from([(COUNT, (before + 1).to_string())]));
    let update = Update::Part(Part { labels: Some(count), ..Part::default() });
    tasks.containers().update(namespace, id, update).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish_of(labels: &[(&str, &str)], now: Now) -> Wish {
        wish(&labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(), now)
    }

    #[test]
    fn labels_decide() {
        let ended = Now::Ended(1);
        assert_eq!(wish_of(&[], ended), Wish::Nothing);
        assert_eq!(wish_of(&[(STATUS, "running")], ended), Wish::Run);
        assert_eq!(wish_of(&[(STATUS, "running")], Now::NoTask), Wish::Run);
        assert_eq!(wish_of(&[(STATUS, "running")], Now::Alive), Wish::Nothing);
        assert_eq!(wish_of(&[(STATUS, "stopped")], Now::Alive), Wish::Stop);
        assert_eq!(wish_of(&[(STATUS, "stopped")], ended), Wish::Nothing);
    }

    #[test]
    fn policies_limit_restarts() {
        let running = (STATUS, "running");
        assert_eq!(wish_of(&[running, (POLICY, "on-failure")], Now::Ended(0)), Wish::Nothing);
        assert_eq!(wish_of(&[running, (POLICY, "on-failure:3"), (COUNT, "2")], Now::Ended(1)), Wish::Run);
        assert_eq!(wish_of(&[running, (POLICY, "on-failure:3"), (COUNT, "3")], Now::Ended(1)), Wish::Nothing);
        let stopped = (EXPLICITLY_STOPPED, "true");
        assert_eq!(wish_of(&[running, (POLICY, "unless-stopped"), stopped], Now::Ended(1)), Wish::Nothing);
        assert_eq!(wish_of(&[running, (POLICY, "always"), stopped], Now::Ended(1)), Wish::Run);
        assert_eq!(wish_of(&[running, (POLICY, "sometimes")], Now::Ended(1)), Wish::Nothing);
    }
}
