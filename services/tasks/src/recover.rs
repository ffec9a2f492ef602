//! Start: reconciles bundles with the shims that really run.
//!
//! For each bundle: a shim that answers is taken over, what happened meanwhile
//! is read from it, and what was not published is; a shim that is dead is
//! cleaned up after, and its task's end is published; a bundle that was on its
//! way out goes. What runs is never ended because something of its bundle is missing: where the shim is,
//! its command line says, too; one that cannot be spoken to all the same is left alone. So is a shim of
//! ours without a bundle, unless nothing runs in it.

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

/// Takes over what runs and removes what is left of what does not.
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

/// Takes over the shim of a bundle that has no task, or removes what is left of it.
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
        // The shim never said where it is: nobody was told of the task.
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
            // It has no such container: we died before it was made, or after it was removed.
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

/// Ends a task whose shim died while nobody looked.
async fn bury(tasks: &Tasks, key: &Key, history: &History, bundle: Bundle, helper: Helper, client: Client) {
    let found = last_words(&helper).await;
    let (pid, exit) = history.ended().cloned().unwrap_or(found);
    if !history.told(&Step::Create) {
        // Nobody was told of it.
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
        task.adopt(Process::new(&exec, 0, phase(&exec)));
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
    tell_start(&task, history, task.init(), &state);
    let mut running = Vec::new();
    for exec in history.execs() {
        let Ok(state) = task.client().state(&exec).await else { continue };
        if !history.told(&Step::Exec(exec.clone())) {
            task.tell_exec_added(&exec);
        }
        let process = task.adopt(Process::new(&exec, state.pid, phase(history, &exec, &state)));
        tell_start(&task, history, &process, &state);
        if process.phase() == Phase::Running {
            running.push(process);
        }
    }
    tasks.register(key.clone(), task);
    if let Some(task) = tasks.find(&key) {
        for process in running {
            tasks.watch(task.clone(), process);
        }
    }
}

fn tell_start(task: &Task, history: &History, process: &Process, state: &StateResponse) {
    let step = Step::Start(process.exec().to_owned());
    if state.status() != State::Created && history.did(&step) && !history.told(&step) {
        task.tell_started(process);
    }
}

/// The phase of a process as far as publishing goes: an exit that was not
/// published is still to come, from the watch.
fn phase(history: &History, exec: &str, state: &StateResponse) -> Phase {
    match state.status() {
        State::Created => Phase::Created,
        State::Stopped if history.told(&Step::Exit(exec.to_owned())) => {
            Phase::Exited(Exit { status: state.exit_status, at: state.exited_at })
        }
        State::Stopped if !history.did(&Step::Start(exec.to_owned())) => Phase::Created,
        _ => Phase::Running,
    }
}
