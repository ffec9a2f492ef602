//! `gantry down`.

use anyhow::{Context, Result, bail};
use gantry_proto::containerd::services::namespaces::v1::ListNamespacesRequest;
use gantry_proto::containerd::services::tasks::v1::{
    DeleteTaskRequest, KillRequest, ListTasksRequest, WaitRequest,
};
use gantry_proto::gantry::engine::v1::{ListRequest, StopRequest};
use gantry_types::Namespace;
use tonic::Code;

use crate::cmd::Session;
use crate::supervisor::{self, PATIENCE, SERVICES, process};

pub async fn run(session: &Session, all: bool) -> Result<()> {
    if all {
        stop_containers(session).await.context("stop the containers")?;
        stop_tasks(session).await.context("stop the tasks of other namespaces")?;
    }
    match supervisor::holder(&session.roots) {
        Some(pid) => process::end(pid, PATIENCE * 2).await.context("end the supervisor")?,
        None => eprintln!("gantry: no supervisor runs on {}", session.roots.run.display()),
    }
    // Those of a supervisor that was killed.
    for service in SERVICES.iter().rev() {
        if let Some(pid) = process::serving(&session.roots.socket(service)).await {
            process::end(pid, PATIENCE).await.with_context(|| format!("end {service}"))?;
        }
    }
    Ok(())
}

/// Docker's containers, as their users would stop them, but for their restart policies: those count at the next `up`.
async fn stop_containers(session: &Session) -> Result<()> {
    let running = session.peers.containers().list(ListRequest::default()).await?.into_inner();
    let running: Vec<_> = running.summaries().collect::<Result<_, _>>()?;
    let stops = running.into_iter().map(|container| {
        let mut client = session.peers.containers();
        let request = StopRequest { container: container.id, until_boot: true, ..StopRequest::default() };
        async move { client.stop(request).await }
    });
    let results = futures::future::join_all(stops).await;
    // One that has ended and was removed meanwhile is what is wanted.
    let failures =
        results.into_iter().filter_map(Result::err).filter(|status| status.code() != Code::NotFound);
    let failures: Vec<_> = failures.map(|status| status.message().to_owned()).collect();
    all_done(&failures)
}

/// Whatever else runs: tasks of containerd's clients.
async fn stop_tasks(session: &Session) -> Result<()> {
    let mut stuck = Vec::new();
    let namespaces =
        session.peers.namespaces().list(ListNamespacesRequest::default()).await?.into_inner().namespaces;
    for namespace in namespaces {
        let namespace: Namespace = namespace.name.parse()?;
        let request = |id: &str| gantry_rpc::context::with_namespace(id.to_owned(), &namespace);
        let list = gantry_rpc::context::with_namespace(ListTasksRequest::default(), &namespace);
        for task in session.peers.tasks().list(list).await?.into_inner().tasks {
            let id = task.container_id;
            let mut client = session.peers.tasks();
            let kill =
                |container_id| KillRequest { container_id, signal: 9, all: true, ..KillRequest::default() };
            // A task that has ended on its own is what is wanted.
            let _ = client.kill(request(&id).map(kill)).await;
            let wait = |container_id| WaitRequest { container_id, ..WaitRequest::default() };
            if tokio::time::timeout(PATIENCE, client.wait(request(&id).map(wait))).await.is_err() {
                stuck.push(format!("task {id} in namespace {namespace} does not end"));
                continue;
            }
            let _ = client.delete(request(&id).map(|container_id| DeleteTaskRequest { container_id })).await;
        }
    }
    all_done(&stuck)
}

fn all_done(failures: &[String]) -> Result<()> {
    if failures.is_empty() { Ok(()) } else { bail!("{}", failures.join("; ")) }
}
