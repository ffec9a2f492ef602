//! The exit of a process, and who learns of it.

use std::time::Duration;

use gantry_api::tasks::{Cause, CreateTask, Exec as _, Inspect as _, Manage as _, Status, Wait as _, Whom};
use gantry_rpc::Code;
use gantry_types::{ProcessId, Signal};

use super::{
    EXIT_3, KILLED, MISSING, Machine, NO_PROGRAM, SLEEP, add, created, done, ended, exec_id, exec_of, get,
    id, init, kill, moby, refused, running, start, wait, why,
};

/// For every call, before and after the exit.
pub async fn an_end_is_the_same_before_and_after_it<M: Machine>(machine: &M) {
    created(machine, "c", EXIT_3).await;
    let (namespace, process) = (moby(), init("c"));
    let (before, _) = tokio::join!(machine.tasks().wait(&namespace, &process), start(machine, &process));
    let before = done(before);
    assert_eq!(before.code, 3);
    assert_eq!(wait(machine, &process).await, before);
    assert_eq!(ended(&get(machine, &process).await), before);
    assert_eq!(done(machine.tasks().delete(&moby(), &id("c")).await).exit, before);
}

/// Every wait returns the same exit.
pub async fn everybody_who_waits_is_told<M: Machine>(machine: &M) {
    running(machine, "c", SLEEP).await;
    let process = init("c");
    let (a, b, c, ()) = tokio::join!(
        wait(machine, &process),
        wait(machine, &process),
        wait(machine, &process),
        kill(machine, &process)
    );
    assert_eq!(a.code, KILLED);
    assert_eq!((a, a), (b, c));
}

/// A cancelled wait changes nothing: the process runs on, and other waits return its exit.
pub async fn who_stops_waiting_changes_nothing<M: Machine>(machine: &M) {
    running(machine, "c", SLEEP).await;
    let process = init("c");
    let waiting = tokio::time::timeout(Duration::from_millis(50), wait(machine, &process)).await;
    assert!(waiting.is_err(), "it has not ended");
    assert_eq!(get(machine, &process).await.status, Status::Running);
    kill(machine, &process).await;
    assert_eq!(wait(machine, &process).await.code, KILLED);
}

/// The exit status is the program's own, or that of the signal that killed it.
pub async fn a_program_says_how_it_ends<M: Machine>(machine: &M) {
    running(machine, "c", SLEEP).await;
    for (exec, arguments, code) in
        [("ok", &["sh", "-c", "exit 0"], 0), ("bad", &["sh", "-c", "exit 255"], 255)]
    {
        let process = add(machine, "c", exec, arguments).await;
        start(machine, &process).await;
        assert_eq!(wait(machine, &process).await.code, code);
    }
    let terminated = add(machine, "c", "term", SLEEP).await;
    start(machine, &terminated).await;
    done(machine.tasks().kill(&moby(), &terminated, Signal::TERM, Whom::Process).await);
    assert_eq!(wait(machine, &terminated).await.code, 128 + Signal::TERM.number());
}

/// A killed task cannot be started.
pub async fn what_is_killed_before_its_start_has_ended<M: Machine>(machine: &M) {
    created(machine, "c", SLEEP).await;
    kill(machine, &init("c")).await;
    assert_eq!(wait(machine, &init("c")).await.code, KILLED);
    refused(machine.tasks().start(&moby(), &init("c")).await, Code::Internal);
    assert_eq!(done(machine.tasks().delete(&moby(), &id("c")).await).exit.code, KILLED);
}

/// No process is left for the signal.
pub async fn a_signal_to_what_has_ended_is_not_found<M: Machine>(machine: &M) {
    running(machine, "c", SLEEP).await;
    let exec = add(machine, "c", "e", EXIT_3).await;
    start(machine, &exec).await;
    wait(machine, &exec).await;
    refused(machine.tasks().kill(&moby(), &exec, Signal::TERM, Whom::Process).await, Code::NotFound);
    kill(machine, &init("c")).await;
    wait(machine, &init("c")).await;
    for whom in [Whom::Process, Whom::All] {
        refused(machine.tasks().kill(&moby(), &init("c"), Signal::KILL, whom).await, Code::NotFound);
    }
}

/// All processes of the task end with init.
pub async fn the_end_of_init_ends_all<M: Machine>(machine: &M) {
    running(machine, "c", SLEEP).await;
    let exec = add(machine, "c", "e", SLEEP).await;
    start(machine, &exec).await;
    kill(machine, &init("c")).await;
    assert_eq!(wait(machine, &exec).await.code, KILLED);
    wait(machine, &init("c")).await;
    assert_eq!(ended(&get(machine, &exec).await).code, KILLED);
    done(machine.tasks().delete(&moby(), &id("c")).await);
    refused(machine.tasks().get(&moby(), &exec).await, Code::NotFound);
}

/// For init, at its creation or its start, and for an exec.
pub async fn a_missing_program_is_told_as_such<M: Machine>(machine: &M) {
    fails(machine, MISSING, Cause::NotFound).await;
}

/// For a file that is not executable.
pub async fn a_program_that_may_not_run_is_told_as_such<M: Machine>(machine: &M) {
    fails(machine, NO_PROGRAM, Cause::NotPermitted).await;
}

async fn fails<M: Machine>(machine: &M, arguments: &[&str], cause: Cause) {
    let tasks = machine.tasks();
    machine.container(&moby(), &id("c"), arguments).await;
    match tasks.create(&moby(), CreateTask::of(&id("c"))).await {
        Ok(_) => {
            assert_eq!(why(tasks.start(&moby(), &init("c")).await).cause, cause);
            done(tasks.delete(&moby(), &id("c")).await);
        }
        refused => assert_eq!(why(refused).cause, cause),
    }
    assert_eq!(done(tasks.list(&moby()).await), [], "it leaves nothing");
    running(machine, "d", SLEEP).await;
    let exec: ProcessId = add(machine, "d", "e", arguments).await;
    assert_eq!(why(tasks.start(&moby(), &exec).await).cause, cause);
    assert_eq!(get(machine, &init("d")).await.status, Status::Running);
    // The id is taken until the exec is deleted.
    refused(tasks.exec(&moby(), exec_of("d", "e", SLEEP)).await, Code::AlreadyExists);
    done(tasks.delete_process(&moby(), &id("d"), &exec_id("e")).await);
}
