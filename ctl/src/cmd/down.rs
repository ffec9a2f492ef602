//! `gantry down`.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use futures::future::join_all;
use gantry_api::Failure;
use gantry_api::engine::containers::{Inspect as _, Run as _};
use gantry_api::engine::{ListQuery, StopSpec};
use gantry_api::network::Manage as _;
use gantry_api::tasks::{self, Inspect as _, Manage as _, Wait as _, Whom};
use gantry_proto::containerd::services::namespaces::v1::ListNamespacesRequest;
use gantry_proto::containerd::services::sandbox::v1::{ControllerShutdownRequest, StoreListRequest};
use gantry_types::{Namespace, ProcessId, Signal};
use tonic::Code;

use crate::cmd::{Session, said};
use crate::output;
use crate::supervisor::{self, PATIENCE, process};

/// How long to wait for a service that does not answer. A supervisor has restarted it by then.
const SILENCE: Duration = Duration::from_secs(10);

/// Takes every step, whether or not those before it succeeded; reports at the end what could not be stopped.
pub async fn run(session: &Session, all: bool) -> Result<()> {
    supervisor::refuse_units(&session.roots).await?;
    let mut failures = Vec::new();
    if all {
        failures = stop_all(session).await;
        if failures.is_empty() {
            let networks = while_answering(session, ["network", "engine"], withdraw_networks(session)).await;
            failures.extend(failure("take the networks down", networks));
        } else {
            failures.extend(left(session).into_iter().map(|task| format!("{task} may go on running")));
        }
    }
    match supervisor::holder(&session.roots) {
        Some(pid) => failures.extend(failure("end the supervisor", process::end(pid, PATIENCE * 2).await)),
        None => eprintln!("gantry: no supervisor runs on {}", session.roots.run.display()),
    }
    // The services of a supervisor that was killed.
    for service in gantry_descriptor::names().rev() {
        let ended = supervisor::replace(&session.roots, service).await;
        failures.extend(ended.err().as_ref().map(output::explain));
    }
    all_done(&failures)
}

/// Stops all that runs, as before the machine's shutdown.
pub async fn containers(session: &Session) -> Result<()> {
    all_done(&stop_all(session).await)
}

/// Stops every container and every other task; returns what could not be stopped.
async fn stop_all(session: &Session) -> Vec<String> {
    let containers = while_answering(session, ["engine", "tasks"], stop_containers(session)).await;
    let tasks = while_answering(session, ["control", "tasks"], stop_tasks(session)).await;
    let steps = [("stop the containers", containers), ("stop the tasks of other namespaces", tasks)];
    steps.into_iter().filter_map(|(step, result)| failure(step, result)).collect()
}

/// The failure of a step.
fn failure(step: &str, result: Result<()>) -> Option<String> {
    result.err().map(|error| format!("{step}: {}", output::explain(&error)))
}

/// Does the work, unless a service that it needs does not answer.
async fn while_answering(
    session: &Session,
    services: [&'static str; 2],
    work: impl Future<Output = Result<()>>,
) -> Result<()> {
    let [one, other] = services.map(|service| process::silent(&session.roots, service, SILENCE));
    tokio::select! {
        result = work => result,
        () = one => bail!("{} does not answer", services[0]),
        () = other => bail!("{} does not answer", services[1]),
    }
}

/// Tasks whose end has not been reported yet, as namespace/id.
fn left(session: &Session) -> Vec<String> {
    let folders =
        |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let bundles = session.roots.run.join("bundles");
    let tasks = folders(&bundles).flat_map(|namespace| folders(&namespace).collect::<Vec<_>>());
    let running = tasks.filter(|bundle| !bundle.join("exit.json").exists());
    running.filter_map(|bundle| Some(bundle.strip_prefix(&bundles).ok()?.display().to_string())).collect()
}

/// Stops Docker's containers as their users would, but without a change to restart policies: those count at the next `up`.
async fn stop_containers(session: &Session) -> Result<()> {
    let containers = session.containers();
    let running = containers.containers(ListQuery::default()).await.map_err(said)?.containers;
    let stops = running.into_iter().map(|container| {
        let spec = StopSpec { container: container.id, until_boot: true, ..StopSpec::default() };
        containers.stop_container(spec)
    });
    let failures = join_all(stops).await.into_iter().filter_map(|stopped| unless_gone(stopped).err());
    let failures: Vec<_> = failures.map(|failure| failure.status.message().to_owned()).collect();
    all_done(&failures)
}

/// Stops all other tasks: those of containerd's clients.
async fn stop_tasks(session: &Session) -> Result<()> {
    let namespaces =
        session.peers.namespaces().list(ListNamespacesRequest::default()).await?.into_inner().namespaces;
    let stops = namespaces.iter().map(|namespace| stop_tasks_of(session, &namespace.name));
    let failures: Vec<_> = join_all(stops).await.into_iter().filter_map(Result::err).collect();
    all_done(&failures.iter().map(output::explain).collect::<Vec<_>>())
}

async fn stop_tasks_of(session: &Session, namespace: &str) -> Result<()> {
    let namespace: Namespace = namespace.parse()?;
    let client = tasks::Client::new(&session.peers);
    let running = client.list(&namespace).await.map_err(said)?;
    let stops = running.into_iter().map(|task| {
        let (client, namespace) = (&client, &namespace);
        async move {
            let stop = tokio::time::timeout(PATIENCE * 2, stop_task(client, namespace, &task.id));
            let failure = match stop.await {
                Ok(stopped) => stopped.err()?.status.message().to_owned(),
                Err(_) => "does not end".to_owned(),
            };
            Some(format!("task {} in namespace {namespace}: {failure}", task.id.container))
        }
    });
    let mut failures: Vec<_> = join_all(stops).await.into_iter().flatten().collect();
    failures.extend(stop_sandboxes(session, &namespace).await?);
    all_done(&failures)
}

/// Removes running sandboxes, whose containers have ended by now; returns failures.
async fn stop_sandboxes(session: &Session, namespace: &Namespace) -> Result<Vec<String>> {
    let list = gantry_rpc::context::with_namespace(StoreListRequest::default(), namespace);
    let records = session.peers.sandbox_records().list(list).await?;
    let mut failures = Vec::new();
    for sandbox in records.into_inner().list {
        let sandbox_id = sandbox.sandbox_id.clone();
        let request = ControllerShutdownRequest { sandbox_id, ..Default::default() };
        let request = gantry_rpc::context::with_namespace(request, namespace);
        match session.peers.sandbox_controller().shutdown(request).await {
            Err(status) if status.code() != Code::NotFound => {
                failures.push(format!(
                    "sandbox {} in namespace {namespace}: {}",
                    sandbox.sandbox_id,
                    status.message()
                ));
            }
            _ => {}
        }
    }
    Ok(failures)
}

/// Returns when the task has ended. If it has ended by itself, that is success.
async fn stop_task(client: &tasks::Client, namespace: &Namespace, task: &ProcessId) -> Result<(), Failure> {
    let _ = client.kill(namespace, task, Signal::KILL, Whom::All).await;
    unless_gone(client.wait(namespace, task).await)?;
    let _ = client.delete(namespace, &task.container).await;
    Ok(())
}

/// What has ended and is removed by now needs no more to be done.
fn unless_gone<T>(done: Result<T, Failure>) -> Result<(), Failure> {
    match done {
        Err(failure) if failure.status.code() != Code::NotFound => Err(failure),
        _ => Ok(()),
    }
}

/// Removes bridges and packet filter rules. `network` may still be disconnecting a container that has just ended.
async fn withdraw_networks(session: &Session) -> Result<()> {
    let begun = Instant::now();
    loop {
        match session.networks().withdraw().await.map_err(said) {
            Err(status) if status.code() == Code::FailedPrecondition && begun.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            withdrawn => return Ok(withdrawn?),
        }
    }
}

fn all_done(failures: &[String]) -> Result<()> {
    if failures.is_empty() { Ok(()) } else { bail!("{}", failures.join("; ")) }
}
