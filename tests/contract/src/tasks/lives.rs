//! The life of a task, from its creation to its deletion.

use gantry_api::tasks::{
    Control as _, CreateTask, Exec as _, Inspect as _, Io as _, Manage as _, Status, Wait as _, Whom,
};
use gantry_rpc::Code;
use gantry_types::{ContainerId, Namespace, ProcessId, Signal};

use super::{
    EXIT_3, KILLED, Machine, SLEEP, created, done, ended, exec_id, exec_of, further, get, id, init, kill,
    moby, refused, running, start, wait,
};

/// The pid stays the same.
pub async fn a_task_lives_from_create_to_delete<M: Machine>(machine: &M) {
    let pid = created(machine, "c", SLEEP).await;
    assert_ne!(pid, 0);
    let before = get(machine, &init("c")).await;
    assert_eq!((&before.id, before.pid, before.status), (&init("c"), pid, Status::Created));
    assert_eq!(start(machine, &init("c")).await, pid);
    assert_eq!(get(machine, &init("c")).await.status, Status::Running);
    kill(machine, &init("c")).await;
    let exit = wait(machine, &init("c")).await;
    assert_eq!(exit.code, KILLED);
    assert!(exit.at.is_some(), "somebody saw it");
    let after = get(machine, &init("c")).await;
    assert_eq!((ended(&after), after.pid), (exit, pid));
    let deleted = done(machine.tasks().delete(&moby(), &id("c")).await);
    assert_eq!((deleted.pid, deleted.exit), (pid, exit));
    refused(machine.tasks().get(&moby(), &init("c")).await, Code::NotFound);
}

/// Without a record there is no task.
pub async fn a_task_is_made_of_a_record<M: Machine>(machine: &M) {
    refused(machine.tasks().create(&moby(), CreateTask::of(&id("none"))).await, Code::NotFound);
    refused(machine.tasks().get(&moby(), &init("none")).await, Code::NotFound);
}

/// The second creation is refused, and the first task runs on.
pub async fn a_container_has_one_task<M: Machine>(machine: &M) {
    let pid = created(machine, "c", SLEEP).await;
    let again = async || machine.tasks().create(&moby(), CreateTask::of(&id("c"))).await;
    refused(again().await, Code::AlreadyExists);
    assert_eq!(start(machine, &init("c")).await, pid);
    refused(again().await, Code::AlreadyExists);
    kill(machine, &init("c")).await;
    wait(machine, &init("c")).await;
    // Until the task is deleted.
    refused(again().await, Code::AlreadyExists);
}

/// The second one is refused.
pub async fn of_two_creations_at_once_one_succeeds<M: Machine>(machine: &M) {
    machine.container(&moby(), &id("c"), SLEEP).await;
    let namespace = moby();
    let create = || machine.tasks().create(&namespace, CreateTask::of(&id("c")));
    let (one, other) = tokio::join!(create(), create());
    let (made, not) = if one.is_ok() { (one, other) } else { (other, one) };
    let pid = done(made);
    refused(not, Code::AlreadyExists);
    assert_eq!(get(machine, &init("c")).await.pid, pid);
}

/// A second start is refused and changes nothing.
pub async fn a_task_is_started_once<M: Machine>(machine: &M) {
    let pid = running(machine, "c", SLEEP).await;
    refused(machine.tasks().start(&moby(), &init("c")).await, Code::Internal);
    let process = get(machine, &init("c")).await;
    assert_eq!((process.pid, process.status), (pid, Status::Running));
    kill(machine, &init("c")).await;
    wait(machine, &init("c")).await;
    refused(machine.tasks().start(&moby(), &init("c")).await, Code::Internal);
}

/// Neither a task nor an exec.
pub async fn what_runs_is_not_deleted<M: Machine>(machine: &M) {
    running(machine, "c", SLEEP).await;
    let exec = super::add(machine, "c", "e", SLEEP).await;
    start(machine, &exec).await;
    refused(machine.tasks().delete_process(&moby(), &id("c"), &exec_id("e")).await, Code::Internal);
    refused(machine.tasks().delete(&moby(), &id("c")).await, Code::Internal);
    for process in [&exec, &init("c")] {
        assert_eq!(get(machine, process).await.status, Status::Running, "{process}");
    }
}

/// Deleting it ends it.
pub async fn what_never_ran_is_deleted<M: Machine>(machine: &M) {
    let pid = created(machine, "c", SLEEP).await;
    let deleted = done(machine.tasks().delete(&moby(), &id("c")).await);
    assert_eq!((deleted.pid, deleted.exit.code), (pid, KILLED));
    refused(machine.tasks().delete(&moby(), &id("c")).await, Code::NotFound);
}

/// The new task is like a first one.
pub async fn a_deleted_task_is_made_again<M: Machine>(machine: &M) {
    machine.container(&moby(), &id("c"), EXIT_3).await;
    for _ in 0..2 {
        done(machine.tasks().create(&moby(), CreateTask::of(&id("c"))).await);
        start(machine, &init("c")).await;
        assert_eq!(wait(machine, &init("c")).await.code, 3);
        assert_eq!(done(machine.tasks().delete(&moby(), &id("c")).await).exit.code, 3);
    }
}

/// Lists have the init processes by id, without execs.
pub async fn all_tasks_of_a_namespace_are_listed<M: Machine>(machine: &M) {
    assert_eq!(done(machine.tasks().list(&moby()).await), []);
    created(machine, "b", SLEEP).await;
    running(machine, "a", SLEEP).await;
    running(machine, "c", EXIT_3).await;
    let exit = wait(machine, &init("c")).await;
    super::add(machine, "a", "e", SLEEP).await;
    let listed = done(machine.tasks().list(&moby()).await);
    let told: Vec<(&ProcessId, Status)> = listed.iter().map(|task| (&task.id, task.status)).collect();
    let (a, b, c) = (init("a"), init("b"), init("c"));
    assert_eq!(told, [(&a, Status::Running), (&b, Status::Created), (&c, Status::Stopped(exit))]);
}

/// The same id may exist in several namespaces.
pub async fn namespaces_have_their_own_tasks<M: Machine>(machine: &M) {
    let other: Namespace = "other".parse().expect("an identifier");
    running(machine, "c", SLEEP).await;
    refused(machine.tasks().get(&other, &init("c")).await, Code::NotFound);
    machine.container(&other, &id("c"), SLEEP).await;
    done(machine.tasks().create(&other, CreateTask::of(&id("c"))).await);
    let listed = done(machine.tasks().list(&other).await);
    assert_eq!(listed.iter().map(|task| task.status).collect::<Vec<_>>(), [Status::Created]);
    done(machine.tasks().delete(&other, &id("c")).await);
    assert_eq!(get(machine, &init("c")).await.status, Status::Running);
}

/// In every call.
pub async fn what_is_not_there_is_not_found<M: Machine>(machine: &M) {
    let (tasks, moby) = (machine.tasks(), &moby());
    let none: &ContainerId = &id("none");
    running(machine, "c", SLEEP).await;
    for process in [&init("none"), &further("none", "e"), &further("c", "none")] {
        refused(tasks.get(moby, process).await, Code::NotFound);
        refused(tasks.start(moby, process).await, Code::NotFound);
        refused(tasks.wait(moby, process).await, Code::NotFound);
        refused(tasks.kill(moby, process, Signal::KILL, Whom::Process).await, Code::NotFound);
        refused(tasks.resize_pty(moby, process, 80, 24).await, Code::NotFound);
        refused(tasks.close_io(moby, process).await, Code::NotFound);
    }
    refused(tasks.delete(moby, none).await, Code::NotFound);
    refused(tasks.exec(moby, exec_of("none", "e", SLEEP)).await, Code::NotFound);
    for container in ["none", "c"] {
        let deleted = tasks.delete_process(moby, &id(container), &exec_id("none")).await;
        refused(deleted, Code::NotFound);
    }
    refused(tasks.list_pids(moby, none).await, Code::NotFound);
    refused(tasks.pause(moby, none).await, Code::NotFound);
    refused(tasks.resume(moby, none).await, Code::NotFound);
    refused(tasks.update(moby, none, None, Default::default()).await, Code::NotFound);
}
