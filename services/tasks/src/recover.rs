//! Recovery at the start: reconciles the bundles with the shims that run.
//!
//! - The service takes over a shim that answers: it reads from the shim what happened meanwhile, and publishes the
//!   events that were not published.
//! - It cleans up after a shim that is dead, and publishes the end of its task.
//! - It removes a bundle that was set aside.
//! - It never ends a running container because a file of its bundle is missing. Where the bundle does not say how to
//!   reach the shim, the shim's command line does; a shim that cannot be reached either way is left alone.
//! - It leaves a shim of ours without a bundle alone, unless no container runs in it.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use gantry_proto::containerd::events::{TaskCreate, TaskIo};
use gantry_proto::containerd::task::v3::StateResponse;
use gantry_proto::containerd::v1::types::Status as State;
use tonic::Code;

use crate::bundle::{self, Bundle, Found};
use crate::error::Error;
use crate::events::Then;
use crate::journal::{History, Step};
use crate::shim::client::Client;
use crate::shim::helper::Helper;
use crate::strays;
use crate::task::process::{Exit, Phase, Process};
use crate::task::{self, Task};
use crate::tasks::{Key, Tasks, last_words};

const AT_ONCE: usize = 16;
const PATIENCE: Duration = Duration::from_secs(5);

/// Takes over running shims, and removes what dead shims have left.
pub async fn recover(tasks: &Arc<Tasks>) -> Result<(), Error> {
    let found = bundle::scan(&tasks.places().bundles)?;
    futures::stream::iter(found)
        .for_each_concurrent(AT_ONCE, |found| async move {
            let (namespace, id) = (found.namespace.clone(), found.id.clone());
            if let Err(error) = one(tasks, found).await {
                tracing::warn!(
                    namespace,
                    container = id,
                    error = gantry_rpc::chain(&error),
                    "bundle not recovered"
                );
            }
        })
        .await;
    strays::repair_processes(tasks).await;
    Ok(())
}

/// Takes over the shim of a bundle without a task, or removes what is left of the task.
pub async fn one(tasks: &Arc<Tasks>, found: Found) -> Result<(), Error> {
    let history = History::read(&found.folder);
    let bundle = Bundle::open(found.folder)?;
    let key: Key = (found.namespace, found.id);
    if found.aside {
        tell_deleted(tasks, &key, &history, bundle);
        return Ok(());
    }
    let binary = bundle.shim_binary().unwrap_or_default();
    let helper = tasks.helper(&key, binary, &bundle);
    let bootstrap = match bundle.bootstrap()? {
        Some(bootstrap) => bootstrap,
        // The shim did not start: no client was told of the task.
        None if !history.did(&Step::Create) => return strays::clear(&bundle, &helper).await,
        None => {
            let found = strays::bootstrap_of(&bundle).await;
            let lost = Error::ShimLost { id: key.1.clone(), lost: "where it listens" };
            let bootstrap = found.ok_or(lost)?;
            bundle.write_bootstrap(&bootstrap)?;
            bootstrap
        }
    };
    let client = Client::new(&bootstrap, &key.0, &key.1);
    if !client.is_there().await {
        if strays::runs_in(bundle.folder()).await {
            return Err(Error::ShimLost { id: key.1, lost: "its socket" });
        }
        bury(tasks, &key, &history, bundle, helper, client).await;
        return Ok(());
    }
    match tokio::time::timeout(PATIENCE, client.state("")).await {
        Ok(Ok(state)) => take_over(tasks, key, &history, bundle, helper, client, state).await,
        Ok(Err(Error::Shim { status })) if status.code() == Code::NotFound => {
            // The shim has no such container: the service died before the container was created, or after it was
            // removed.
            let _ = client.shutdown().await;
            last_words(&helper).await;
            if history.ended().is_some() {
                tell_deleted(tasks, &key, &history, bundle.set_aside()?);
            } else {
                bundle.remove()?;
            }
        }
        Ok(Err(_)) | Err(_) => {
            tracing::warn!(
                namespace = key.0,
                container = key.1,
                "a shim does not tell its task's state; the task is watched all the same"
            );
            let init = Process::new("", 0, Phase::Running);
            tasks.register(key, Task::new(bundle, helper, client, init, tasks.publisher().clone()));
        }
    }
    Ok(())
}

fn tell_deleted(tasks: &Tasks, key: &Key, history: &History, aside: Bundle) {
    let (pid, exit) = history.ended().cloned().unwrap_or_else(|| (0, task::killed_now()));
    let event = task::deleted(&key.1, pid, &exit);
    tasks.publisher().publish(&key.0, "/tasks/delete", &event, Then::Remove(aside));
}

/// Ends a task whose shim died while the service was not running.
async fn bury(tasks: &Tasks, key: &Key, history: &History, bundle: Bundle, helper: Helper, client: Client) {
    let found = last_words(&helper).await;
    let (pid, exit) = history.ended().cloned().unwrap_or(found);
    if !history.told(&Step::Create) {
        // No client was told of the task.
        if let Err(error) = bundle.remove() {
            tracing::warn!(
                container = key.1,
                error = gantry_rpc::chain(&error),
                "bundle of a dead shim stays"
            );
        }
        return;
    }
    let phase = |exec: &str| match history.told(&Step::Exit(exec.to_owned())) {
        true => Phase::Exited(exit.clone()),
        false if history.did(&Step::Start(exec.to_owned())) => Phase::Running,
        false => Phase::Created,
    };
    let init = Process::new("", pid, phase(""));
    let task = Task::new(bundle, helper, client, init, tasks.publisher().clone());
    for exec in history.execs() {
        task.restore(Process::new(&exec, 0, phase(&exec)));
    }
    task.finish_all(exit.clone()).await;
    task.tell_deleted(&exit);
    tracing::warn!(
        namespace = key.0,
        container = key.1,
        status = exit.status,
        "a shim had died; its task is removed"
    );
}

async fn take_over(
    tasks: &Arc<Tasks>,
    key: Key,
    history: &History,
    bundle: Bundle,
    helper: Helper,
    client: Client,
    state: StateResponse,
) {
    let folder = helper.bundle.to_string_lossy().into_owned();
    let log = tasks.log_of(&helper).unwrap_or_default();
    let init = Process::new("", state.pid, phase(history, "", &state));
    let task = Task::new(bundle, helper, client, init, tasks.publisher().clone());
    tasks.follow_log(&task, log);
    if !history.told(&Step::Create) {
        let io = TaskIo {
            stdin: state.stdin.clone(),
            stdout: state.stdout.clone(),
            stderr: state.stderr.clone(),
            terminal: state.terminal,
        };
        let container_id = key.1.clone();
        task.tell_created(TaskCreate {
            container_id,
            bundle: folder,
            io: Some(io),
            pid: state.pid,
            ..Default::default()
        });
    }
    tell_start(&task, history, task.init());
    let mut started = Vec::new();
    for exec in history.execs() {
        let Ok(state) = task.client().state(&exec).await else { continue };
        if !history.told(&Step::Exec(exec.clone())) {
            task.tell_exec_added(&exec);
        }
        let process = task.restore(Process::new(&exec, state.pid, phase(history, &exec, &state)));
        tell_start(&task, history, &process);
        if history.did(&Step::Start(exec)) && !process.has_ended() {
            started.push(process);
        }
    }
    tasks.register(key.clone(), task);
    if let Some(task) = tasks.find(&key) {
        for process in started.into_iter().filter(|process| process.claim_watch()) {
            tasks.watch(task.clone(), process);
        }
    }
}

fn tell_start(task: &Task, history: &History, process: &Process) {
    let step = Step::Start(process.exec().to_owned());
    if process.phase() != Phase::Created && history.did(&step) && !history.told(&step) {
        task.tell_started(process);
    }
}

/// The phase of a process as far as publishing goes. The watch over the process publishes an exit that was not
/// published.
fn phase(history: &History, exec: &str, state: &StateResponse) -> Phase {
    match state.status() {
        State::Created => Phase::Created,
        // The start of the exec has failed.
        State::Stopped if !exec.is_empty() && state.pid == 0 => Phase::Created,
        State::Stopped if history.told(&Step::Exit(exec.to_owned())) => {
            Phase::Exited(Exit { status: state.exit_status, at: state.exited_at })
        }
        State::Stopped if !history.did(&Step::Start(exec.to_owned())) => Phase::Created,
        _ => Phase::Running,
    }
}
