//! Tasks: the processes of containers.

mod control;
mod ends;
mod execs;
mod lives;

use gantry_api::tasks::{
    CreateTask, Exec as _, ExecProcess, ExitStatus, Inspect as _, Manage as _, Process, Service,
    StartFailure, Status, Stdio, Wait as _, Whom,
};
use gantry_rpc::{Code, Coded};
use gantry_types::{ContainerId, ExecId, Namespace, ProcessId, Signal};
use prost_types::Any;
use serde_json::{Value, json};

pub use control::*;
pub use ends::*;
pub use execs::*;
pub use lives::*;

/// Tests of `gantry_api::tasks::Service` on a [`Machine`](tasks::Machine).
#[macro_export]
macro_rules! tasks {
    ($world:expr) => {
        $crate::suite!(
            tasks,
            $world,
            [
                a_task_lives_from_create_to_delete,
                a_task_is_made_of_a_record,
                a_container_has_one_task,
                of_two_creations_at_once_one_succeeds,
                a_task_is_started_once,
                what_runs_is_not_deleted,
                what_never_ran_is_deleted,
                a_deleted_task_is_made_again,
                all_tasks_of_a_namespace_are_listed,
                namespaces_have_their_own_tasks,
                what_is_not_there_is_not_found,
                an_end_is_the_same_before_and_after_it,
                everybody_who_waits_is_told,
                who_stops_waiting_changes_nothing,
                a_program_says_how_it_ends,
                what_is_killed_before_its_start_has_ended,
                a_signal_to_what_has_ended_is_not_found,
                the_end_of_init_ends_all,
                a_missing_program_is_told_as_such,
                a_program_that_may_not_run_is_told_as_such,
                an_exec_lives_from_exec_to_delete,
                an_exec_id_is_taken_once,
                of_two_execs_of_one_id_one_succeeds,
                an_exec_id_is_of_one_task,
                an_exec_that_never_ran_is_deleted,
                an_exec_that_never_ran_gets_no_signal,
                a_signal_is_for_one_process,
                a_signal_is_for_all,
                nothing_is_added_to_what_has_ended,
                a_failed_exec_can_be_made_again,
                a_failed_exec_has_ended,
                what_is_paused_goes_on,
                what_runs_in_a_task_is_told,
                what_runs_is_measured,
                the_limits_of_what_has_ended_are_not_changed,
                a_closed_input_ends_what_reads_it,
            ]
        );
    };
}

/// Tasks, and containers to create them from.
pub trait Machine: Sync {
    /// The implementation.
    type Tasks: Service;

    /// The tasks.
    fn tasks(&self) -> &Self::Tasks;

    /// Records a container whose init is a [`process`]. Its root has busybox with `cat`, `sh` and `sleep` in `/bin`,
    /// and a file `/etc/passwd` that must not be executed. Its shim knows the URIs `attach:` and `none:`.
    fn container(
        &self,
        namespace: &Namespace,
        id: &ContainerId,
        arguments: &[&str],
    ) -> impl Future<Output = ()> + Send;
}

/// `Process` of the OCI runtime specification.
pub fn process(arguments: &[&str]) -> Value {
    json!({
        "user": {"uid": 0, "gid": 0},
        "args": arguments,
        "env": ["PATH=/bin"],
        "cwd": "/",
    })
}

/// Runs until it is killed.
const SLEEP: &[&str] = &["sleep", "1000"];
/// Exits with 3.
const EXIT_3: &[&str] = &["sh", "-c", "exit 3"];
/// Exits at the end of its input.
const CAT: &[&str] = &["cat"];
/// A missing program.
const MISSING: &[&str] = &["/bin/missing"];
/// A file that is not a program.
const NO_PROGRAM: &[&str] = &["/etc/passwd"];

const KILLED: u32 = 137;

fn moby() -> Namespace {
    Namespace::moby()
}

fn id(text: &str) -> ContainerId {
    text.parse().expect("an identifier")
}

fn exec_id(text: &str) -> ExecId {
    text.parse().expect("an identifier")
}

fn init(container: &str) -> ProcessId {
    ProcessId::init(&id(container))
}

fn further(container: &str, exec: &str) -> ProcessId {
    ProcessId::exec(&id(container), &exec_id(exec))
}

fn exec_of(container: &str, exec: &str, arguments: &[&str]) -> ExecProcess {
    let spec = Any {
        type_url: "types.containerd.io/opencontainers/runtime-spec/1/Process".to_owned(),
        value: process(arguments).to_string().into_bytes(),
    };
    let (container, exec) = (id(container), exec_id(exec));
    ExecProcess { container, exec, stdio: Stdio::default(), spec: Some(spec) }
}

/// Asserts that a call failed with this code.
#[track_caller]
fn refused<T, E: Coded>(outcome: Result<T, E>, code: Code) {
    match outcome {
        Ok(_) => panic!("it did not fail, but should have with {code:?}"),
        Err(error) => assert_eq!(error.code(), code, "{}", error),
    }
}

/// Unwraps a call that must succeed.
#[track_caller]
fn done<T, E: Coded>(outcome: Result<T, E>) -> T {
    outcome.unwrap_or_else(|error| panic!("{}", error))
}

/// Creates a container and its task. Returns the pid.
async fn created<M: Machine>(machine: &M, container: &str, arguments: &[&str]) -> u32 {
    machine.container(&moby(), &id(container), arguments).await;
    done(machine.tasks().create(&moby(), CreateTask::of(&id(container))).await)
}

/// Creates a container and starts its task. Returns the pid.
async fn running<M: Machine>(machine: &M, container: &str, arguments: &[&str]) -> u32 {
    let pid = created(machine, container, arguments).await;
    assert_eq!(start(machine, &init(container)).await, pid);
    pid
}

async fn start<M: Machine>(machine: &M, process: &ProcessId) -> u32 {
    done(machine.tasks().start(&moby(), process).await)
}

async fn get<M: Machine>(machine: &M, process: &ProcessId) -> Process {
    done(machine.tasks().get(&moby(), process).await)
}

/// Adds an exec to a task.
async fn add<M: Machine>(machine: &M, container: &str, exec: &str, arguments: &[&str]) -> ProcessId {
    done(machine.tasks().exec(&moby(), exec_of(container, exec, arguments)).await);
    further(container, exec)
}

async fn kill<M: Machine>(machine: &M, process: &ProcessId) {
    done(machine.tasks().kill(&moby(), process, Signal::KILL, Whom::Process).await);
}

async fn wait<M: Machine>(machine: &M, process: &ProcessId) -> ExitStatus {
    done(machine.tasks().wait(&moby(), process).await)
}

/// The reason why a process was not started.
#[track_caller]
fn why<T, E: Coded>(outcome: Result<T, E>) -> StartFailure {
    match outcome {
        Ok(_) => panic!("it was started"),
        Err(error) => StartFailure::of(&error).unwrap_or_else(|| panic!("no failure to start: {}", error)),
    }
}

fn ended(process: &Process) -> ExitStatus {
    match process.status {
        Status::Stopped(exit) => exit,
        other => panic!("{} is {other:?}", process.id),
    }
}
