//! Execs.

use gantry_api::tasks::{Exec as _, Inspect as _, Manage as _, Status, Wait as _, Whom};
use gantry_rpc::Code;
use gantry_types::Signal;

use super::{
    EXIT_3, KILLED, MISSING, Machine, SLEEP, add, done, ended, exec_id, exec_of, further, get, id, init,
    kill, moby, refused, running, start, wait, why,
};

/// An exec has no pid before its start.
pub async fn an_exec_lives_from_exec_to_delete<M: Machine>(machine: &M) {
    running(machine, "c", SLEEP).await;
    let exec = add(machine, "c", "e", SLEEP).await;
    let before = get(machine, &exec).await;
    assert_eq!((&before.id, before.pid, before.status), (&exec, 0, Status::Created));
    let pid = start(machine, &exec).await;
    let process = get(machine, &exec).await;
    assert_eq!((process.pid, process.status), (pid, Status::Running));
    refused(machine.tasks().start(&moby(), &exec).await, Code::Internal);
    kill(machine, &exec).await;
    let exit = wait(machine, &exec).await;
    assert_eq!((exit.code, ended(&get(machine, &exec).await)), (KILLED, exit));
    let deleted = done(machine.tasks().delete_process(&moby(), &id("c"), &exec_id("e")).await);
    assert_eq!((deleted.pid, deleted.exit), (pid, exit));
    refused(machine.tasks().get(&moby(), &exec).await, Code::NotFound);
    assert_eq!(get(machine, &init("c")).await.status, Status::Running);
}

/// An id is taken until the exec is deleted.
pub async fn an_exec_id_is_taken_once<M: Machine>(machine: &M) {
    running(machine, "c", SLEEP).await;
    let exec = add(machine, "c", "e", EXIT_3).await;
    let again = async || machine.tasks().exec(&moby(), exec_of("c", "e", SLEEP)).await;
    refused(again().await, Code::AlreadyExists);
    start(machine, &exec).await;
    assert_eq!(wait(machine, &exec).await.code, 3, "it is the first that runs");
    refused(again().await, Code::AlreadyExists);
    done(machine.tasks().delete_process(&moby(), &id("c"), &exec_id("e")).await);
    done(again().await);
    assert_eq!(get(machine, &exec).await.status, Status::Created);
}

/// The second one is refused.
pub async fn of_two_execs_of_one_id_one_succeeds<M: Machine>(machine: &M) {
    running(machine, "c", SLEEP).await;
    let namespace = moby();
    let add = || machine.tasks().exec(&namespace, exec_of("c", "e", SLEEP));
    let (one, other) = tokio::join!(add(), add());
    let (added, not) = if one.is_ok() { (one, other) } else { (other, one) };
    done(added);
    refused(not, Code::AlreadyExists);
    start(machine, &further("c", "e")).await;
}

/// Tasks do not share exec ids, and an exec may have the id of its container.
pub async fn an_exec_id_is_of_one_task<M: Machine>(machine: &M) {
    running(machine, "c", SLEEP).await;
    running(machine, "d", SLEEP).await;
    let (c, d) = (add(machine, "c", "c", EXIT_3).await, add(machine, "d", "c", SLEEP).await);
    start(machine, &c).await;
    assert_eq!(wait(machine, &c).await.code, 3);
    assert_eq!(get(machine, &c).await.id, c);
    assert_eq!(get(machine, &d).await.status, Status::Created);
    assert_eq!(get(machine, &init("c")).await.status, Status::Running);
}

/// A wait for the exec returns `NOT_FOUND`.
pub async fn an_exec_that_never_ran_is_deleted<M: Machine>(machine: &M) {
    running(machine, "c", SLEEP).await;
    let exec = add(machine, "c", "e", SLEEP).await;
    let (namespace, container, name) = (moby(), id("c"), exec_id("e"));
    let (waited, deleted) = tokio::join!(
        machine.tasks().wait(&namespace, &exec),
        machine.tasks().delete_process(&namespace, &container, &name)
    );
    refused(waited, Code::NotFound);
    assert_eq!(done(deleted).pid, 0);
    refused(machine.tasks().get(&moby(), &exec).await, Code::NotFound);
}

/// The exec has no process yet.
pub async fn an_exec_that_never_ran_gets_no_signal<M: Machine>(machine: &M) {
    running(machine, "c", SLEEP).await;
    let exec = add(machine, "c", "e", SLEEP).await;
    let sent = machine.tasks().kill(&moby(), &exec, Signal::KILL, Whom::Process).await;
    refused(sent, Code::FailedPrecondition);
    start(machine, &exec).await;
    assert_eq!(get(machine, &exec).await.status, Status::Running);
}

/// The other processes run on.
pub async fn a_signal_is_for_one_process<M: Machine>(machine: &M) {
    running(machine, "c", SLEEP).await;
    let (one, other) = (add(machine, "c", "one", SLEEP).await, add(machine, "c", "other", SLEEP).await);
    start(machine, &one).await;
    start(machine, &other).await;
    kill(machine, &one).await;
    assert_eq!(wait(machine, &one).await.code, KILLED);
    for process in [&other, &init("c")] {
        assert_eq!(get(machine, process).await.status, Status::Running, "{process}");
    }
}

/// With [`gantry_api::tasks::Whom::All`].
pub async fn a_signal_is_for_all<M: Machine>(machine: &M) {
    running(machine, "c", SLEEP).await;
    let exec = add(machine, "c", "e", SLEEP).await;
    start(machine, &exec).await;
    done(machine.tasks().kill(&moby(), &init("c"), Signal::KILL, Whom::All).await);
    assert_eq!(wait(machine, &exec).await.code, KILLED);
    assert_eq!(wait(machine, &init("c")).await.code, KILLED);
}

/// Also when the exec would only be added.
pub async fn nothing_is_added_to_what_has_ended<M: Machine>(machine: &M) {
    running(machine, "c", EXIT_3).await;
    wait(machine, &init("c")).await;
    let added = machine.tasks().exec(&moby(), exec_of("c", "e", SLEEP)).await;
    refused(added, Code::FailedPrecondition);
    refused(machine.tasks().get(&moby(), &further("c", "e")).await, Code::NotFound);
}

/// With the same id.
pub async fn a_failed_exec_can_be_made_again<M: Machine>(machine: &M) {
    running(machine, "c", SLEEP).await;
    let exec = add(machine, "c", "e", MISSING).await;
    why(machine.tasks().start(&moby(), &exec).await);
    done(machine.tasks().delete_process(&moby(), &id("c"), &exec_id("e")).await);
    let exec = add(machine, "c", "e", EXIT_3).await;
    start(machine, &exec).await;
    assert_eq!(wait(machine, &exec).await.code, 3);
}

/// The status is not that of a success. Clients that wait before the start and after it get it.
pub async fn a_failed_exec_has_ended<M: Machine>(machine: &M) {
    running(machine, "c", SLEEP).await;
    let exec = add(machine, "c", "e", MISSING).await;
    let namespace = moby();
    let (before, started) = tokio::join!(wait(machine, &exec), machine.tasks().start(&namespace, &exec));
    why(started);
    assert_eq!(before.code, 127, "as a shell has it");
    assert_eq!(wait(machine, &exec).await, before);
    assert_eq!(ended(&get(machine, &exec).await).code, before.code);
}
