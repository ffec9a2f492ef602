//! Changes of running tasks.

use gantry_api::tasks::{Control as _, CreateTask, Inspect as _, Io as _, Manage as _, Status, Stdio};
use gantry_rpc::Code;
use gantry_types::filter::FilterSet;

use super::{
    CAT, EXIT_3, Machine, SLEEP, add, created, done, get, id, init, kill, moby, refused, running, start, wait,
};

/// A second pause and a second resume are refused.
pub async fn what_is_paused_goes_on<M: Machine>(machine: &M) {
    let tasks = machine.tasks();
    created(machine, "c", SLEEP).await;
    refused(tasks.pause(&moby(), &id("c")).await, Code::Internal);
    start(machine, &init("c")).await;
    refused(tasks.resume(&moby(), &id("c")).await, Code::Internal);
    for _ in 0..2 {
        done(tasks.pause(&moby(), &id("c")).await);
        assert_eq!(get(machine, &init("c")).await.status, Status::Paused);
        refused(tasks.pause(&moby(), &id("c")).await, Code::Internal);
        done(tasks.resume(&moby(), &id("c")).await);
        assert_eq!(get(machine, &init("c")).await.status, Status::Running);
    }
    kill(machine, &init("c")).await;
    wait(machine, &init("c")).await;
    refused(tasks.pause(&moby(), &id("c")).await, Code::Internal);
}

/// Init and the execs.
pub async fn what_runs_in_a_task_is_told<M: Machine>(machine: &M) {
    let pids = async || {
        let told = done(machine.tasks().list_pids(&moby(), &id("c")).await);
        let mut pids: Vec<u32> = told.iter().map(|process| process.pid).collect();
        pids.sort_unstable();
        pids
    };
    let pid = running(machine, "c", SLEEP).await;
    assert_eq!(pids().await, [pid]);
    let exec = add(machine, "c", "e", SLEEP).await;
    assert_eq!(pids().await, [pid], "it does not run yet");
    let further = start(machine, &exec).await;
    let mut both = [pid, further];
    both.sort_unstable();
    assert_eq!(pids().await, both);
}

/// Filters choose the tasks; a task that has ended has no counters.
pub async fn what_runs_is_measured<M: Machine>(machine: &M) {
    let measured = async |filters: &[&str]| {
        let filters = FilterSet::parse(filters).expect("filters");
        let metrics = done(machine.tasks().metrics(&moby(), &filters).await);
        let mut ids: Vec<String> = metrics.iter().map(|metric| metric.container.to_string()).collect();
        assert!(metrics.iter().all(|metric| metric.data.is_some()));
        ids.sort();
        ids
    };
    running(machine, "a", SLEEP).await;
    running(machine, "b", SLEEP).await;
    running(machine, "c", EXIT_3).await;
    wait(machine, &init("c")).await;
    assert_eq!(measured(&[]).await, ["a", "b"]);
    assert_eq!(measured(&["id==b"]).await, ["b"]);
    assert_eq!(measured(&["id==c"]).await, [""; 0]);
    assert_eq!(measured(&["id==none"]).await, [""; 0]);
}

/// A task that has ended has no limits.
pub async fn the_limits_of_what_has_ended_are_not_changed<M: Machine>(machine: &M) {
    let resources = || {
        Some(prost_types::Any {
            type_url: "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources".to_owned(),
            value: br#"{"pids":{"limit":100}}"#.to_vec(),
        })
    };
    let update = async || machine.tasks().update(&moby(), &id("c"), resources(), Default::default()).await;
    running(machine, "c", SLEEP).await;
    done(update().await);
    kill(machine, &init("c")).await;
    wait(machine, &init("c")).await;
    refused(update().await, Code::FailedPrecondition);
}

/// A closed stdin ends the program that reads it.
pub async fn a_closed_input_ends_what_reads_it<M: Machine>(machine: &M) {
    machine.container(&moby(), &id("c"), CAT).await;
    let (stdin, stdout) = ("attach:".to_owned(), "none:".to_owned());
    let stdio = Stdio { stdin, stdout, ..Stdio::default() };
    let task = CreateTask { stdio: stdio.clone(), ..CreateTask::of(&id("c")) };
    done(machine.tasks().create(&moby(), task).await);
    start(machine, &init("c")).await;
    let process = get(machine, &init("c")).await;
    assert_eq!((process.status, process.stdio), (Status::Running, stdio));
    done(machine.tasks().close_io(&moby(), &init("c")).await);
    assert_eq!(wait(machine, &init("c")).await.code, 0);
    // Nothing is left to close.
    done(machine.tasks().close_io(&moby(), &init("c")).await);
}
