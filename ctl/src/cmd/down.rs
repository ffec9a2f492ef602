//! `gantry down`.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use futures::future::join_all;
use gantry_proto::containerd::services::namespaces::v1::ListNamespacesRequest;
use gantry_proto::containerd::services::sandbox::v1::{ControllerShutdownRequest, StoreListRequest};
use gantry_proto::containerd::services::tasks::v1::{
    DeleteTaskRequest, KillRequest, ListTasksRequest, WaitRequest,
};
use gantry_proto::gantry::engine::v1::{ListRequest, StopRequest};
use gantry_proto::gantry::network::v1::WithdrawRequest;
use gantry_types::Namespace;
use tonic::{Code, Status};

use crate::cmd::Session;
use crate::output;
use crate::supervisor::{self, PATIENCE, process};

/// A service that has not answered for this long is not waited for. A supervisor has started it again by then.
const SILENCE: Duration = Duration::from_secs(10);

/// Takes every step, whatever became of those before; what could not be ended is told at the end.
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
    // Those of a supervisor that was killed.
    for service in gantry_descriptor::names().rev() {
        let ended = supervisor::replace(&session.roots, service).await;
        failures.extend(ended.err().as_ref().map(output::explain));
    }
    all_done(&failures)
}

/// Stops what runs, as before the machine goes down.
pub async fn containers(session: &Session) -> Result<()> {
    all_done(&stop_all(session).await)
}

/// Every container and every other task; what could not be stopped.
async fn stop_all(session: &Session) -> Vec<String> {
    let containers = while_answering(session, ["engine", "tasks"], stop_containers(session)).await;
    let tasks = while_answering(session, ["control", "tasks"], stop_tasks(session)).await;
    let steps = [("stop the containers", containers), ("stop the tasks of other namespaces", tasks)];
    steps.into_iter().filter_map(|(step, result)| failure(step, result)).collect()
}

/// What became of a step that failed.
fn failure(step: &str, result: Result<()>) -> Option<String> {
    result.err().map(|error| format!("{step}: {}", output::explain(&error)))
}

/// Does the work, unless one of the services that it needs falls silent.
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

/// Tasks that nobody has heard the end of, as namespace/id.
fn left(session: &Session) -> Vec<String> {
    let folders =
        |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let bundles = session.roots.run.join("bundles");
    let tasks = folders(&bundles).flat_map(|namespace| folders(&namespace).collect::<Vec<_>>());
    let running = tasks.filter(|bundle| !bundle.join("exit.json").exists());
    running.filter_map(|bundle| Some(bundle.strip_prefix(&bundles).ok()?.display().to_string())).collect()
}

/// Docker's containers, as their users would stop them, but for their restart policies: those count at the next `up`.
async fn stop_containers(session: &Session) -> Result<()> {
    let running = session.peers.containers().list(ListRequest::default()).await?.into_inner();
    let running = running.containers;
    let stops = running.into_iter().map(|container| {
        let mut client = session.peers.containers();
        let request = StopRequest { container: container.id, until_boot: true, ..StopRequest::default() };
        async move { client.stop(request).await }
    });
    let results = join_all(stops).await;
    // One that has ended and was removed meanwhile is what is wanted.
    let failures =
        results.into_iter().filter_map(Result::err).filter(|status| status.code() != Code::NotFound);
    let failures: Vec<_> = failures.map(|status| status.message().to_owned()).collect();
    all_done(&failures)
}

/// Whatever else runs: tasks of containerd's clients.
async fn stop_tasks(session: &Session) -> Result<()> {
    let namespaces =
        session.peers.namespaces().list(ListNamespacesRequest::default()).await?.into_inner().namespaces;
    let stops = namespaces.iter().map(|namespace| stop_tasks_of(session, &namespace.name));
    let failures: Vec<_> = join_all(stops).await.into_iter().filter_map(Result::err).collect();
    all_done(&failures.iter().map(output::explain).collect::<Vec<_>>())
}

async fn stop_tasks_of(session: &Session, namespace: &str) -> Result<()> {
    let namespace: Namespace = namespace.parse()?;
    let list = gantry_rpc::context::with_namespace(ListTasksRequest::default(), &namespace);
    let tasks = session.peers.tasks().list(list).await?.into_inner().tasks;
    let stops = tasks.into_iter().map(|task| {
        let (namespace, id) = (&namespace, task.container_id);
        async move {
            let stop = tokio::time::timeout(PATIENCE * 2, stop_task(session, namespace, &id));
            let failure = match stop.await {
                Ok(stopped) => stopped.err()?.message().to_owned(),
                Err(_) => "does not end".to_owned(),
            };
            Some(format!("task {id} in namespace {namespace}: {failure}"))
        }
    });
    let mut failures: Vec<_> = join_all(stops).await.into_iter().flatten().collect();
    failures.extend(stop_sandboxes(session, &namespace).await?);
    all_done(&failures)
}

/// Removes sandboxes that run, whose containers have ended by now; what failed.
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

/// Returns when the task has ended. One that has done so on its own is what is wanted.
async fn stop_task(session: &Session, namespace: &Namespace, id: &str) -> Result<(), Status> {
    let request = || gantry_rpc::context::with_namespace(id.to_owned(), namespace);
    let mut client = session.peers.tasks();
    let kill = |container_id| KillRequest { container_id, signal: 9, all: true, ..KillRequest::default() };
    let _ = client.kill(request().map(kill)).await;
    let wait = |container_id| WaitRequest { container_id, ..WaitRequest::default() };
    match client.wait(request().map(wait)).await {
        Err(status) if status.code() != Code::NotFound => return Err(status),
        _ => {}
    }
    let _ = client.delete(request().map(|container_id| DeleteTaskRequest { container_id })).await;
    Ok(())
}

/// Takes bridges and packet filter away. A container that has just ended is still being disconnected.
async fn withdraw_networks(session: &Session) -> Result<()> {
    let begun = Instant::now();
    loop {
        match session.peers.networks().withdraw(WithdrawRequest {}).await {
            Err(status) if status.code() == Code::FailedPrecondition && begun.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            withdrawn => return Ok(withdrawn.map(drop)?),
        }
    }
}

fn all_done(failures: &[String]) -> Result<()> {
    if failures.is_empty() { Ok(()) } else { bail!("{}", failures.join("; ")) }
}
