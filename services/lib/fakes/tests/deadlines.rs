//! Calls to a tasks service that does not answer fail after their deadlines.

use std::time::Duration;

use gantry_api::Peers;
use gantry_api::tasks::{Client, CreateTask, Inspect as _, Manage as _, Wait as _, Whom};
use gantry_rpc::{Code, Coded, deadline, socket};
use gantry_types::{ContainerId, Namespace, ProcessId, Signal};
use tokio::time::Instant;

const SHORT: Duration = Duration::from_millis(300);

#[track_caller]
fn too_late<T, E: Coded + 'static>(outcome: Result<T, E>) {
    let error = outcome.err().expect("nobody answers");
    assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
    assert!(gantry_rpc::chain(&error).starts_with("tasks did not "), "{error}");
}

/// All calls, also waits.
#[tokio::test]
async fn a_service_that_hangs_is_given_up_when_time_is() {
    let run = tempfile::tempdir().expect("a directory");
    // The kernel accepts connections, and no process answers.
    let _listener = socket::bind(&run.path().join("tasks.sock"), 0o600).expect("a socket");
    let tasks = Client::new(&Peers::new(run.path()));
    let container: ContainerId = "c".parse().expect("an id");
    let (moby, init) = (Namespace::moby(), ProcessId::init(&container));
    let begun = Instant::now();
    deadline::until(begun + SHORT, async {
        let (create, get, kill, wait) = tokio::join!(
            tasks.create(&moby, CreateTask::of(&container)),
            tasks.get(&moby, &init),
            tasks.kill(&moby, &init, Signal::KILL, Whom::Process),
            tasks.wait(&moby, &init),
        );
        too_late(create);
        too_late(get);
        too_late(kill);
        too_late(wait);
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(10));
}
