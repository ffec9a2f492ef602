//! containerd's start protocol, the init applet, and other runtimes.

use std::process::Command;

use gantry_proto::containerd::runc::v1::Options;
use gantry_proto::containerd::runtime::bootstrap::v1::{BootstrapParams, BootstrapResult};
use gantry_proto::containerd::task::v3 as task;
use prost::Message;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use tonic::Code;

use crate::shim::{Io, Place, binary};

#[tokio::test]
async fn start_answers_in_the_style_it_was_asked() {
    let mut place = Place::new(&["true"]);
    let mut client = place.connect().await;
    let params =
        BootstrapParams { instance_id: place.id.clone(), namespace: "test".into(), ..Default::default() };
    // The shim runs already: `start` prints the same address again.
    let answer = place.start_shim(&params.encode_to_vec());
    let result = BootstrapResult::decode(answer.as_slice()).expect("protobuf");
    let kept = std::fs::read_to_string(place.bundle.join("address")).expect("an address");
    assert_eq!((result.version, result.protocol.as_str(), result.address), (3, "grpc", kept));
    client.shutdown(task::ShutdownRequest { id: place.id.clone(), now: false }).await.expect("shut down");
}

#[tokio::test]
async fn a_shim_left_from_an_older_bundle_is_replaced() {
    let mut place = Place::new(&["true"]);
    place.connect().await;
    let stale = place.shim.take().expect("a shim");
    std::fs::remove_file(place.bundle.join("bootstrap.json")).expect("removed");
    let mut client = place.run(&Io::default()).await;
    crate::shim::until("the old one is gone", || !crate::shim::is_alive(stale));
    place.wait(&mut client, "").await;
    place.finish(&mut client).await;
}

#[tokio::test]
async fn the_socket_of_a_start_that_was_cut_short_goes_with_the_rest() {
    let mut place = Place::new(&["true"]);
    // The shim starts, but `start` cannot write its answer.
    let obstacle = place.bundle.join("bootstrap.new");
    std::fs::create_dir(&obstacle).expect("a directory");
    assert!(!place.try_start(&[]).status.success());
    let sockets = || std::fs::read_dir(place.directory.path().join("run/s")).expect("sockets").flatten();
    let socket = sockets().next().expect("a socket").path();
    // Until the shim listens on it, the socket's peer is the process that bound it.
    crate::shim::until("the shim is killed", || {
        let stream = std::os::unix::net::UnixStream::connect(&socket).expect("somebody listens");
        let shim = rustix::net::sockopt::socket_peercred(&stream).expect("a peer").pid;
        rustix::process::kill_process(shim, rustix::process::Signal::KILL).is_ok()
    });
    crate::shim::until("it is gone", || std::os::unix::net::UnixStream::connect(&socket).is_err());
    place.delete_dead();
    assert_eq!(sockets().count(), 0);
    std::fs::remove_dir(obstacle).expect("removed");
    let mut client = place.run(&Io::default()).await;
    place.wait(&mut client, "").await;
    place.finish(&mut client).await;
}

#[test]
fn version_and_info_are_told() {
    let said = Command::new(binary()).arg("-v").output().expect("it runs").stdout;
    assert!(String::from_utf8_lossy(&said).starts_with("containerd-shim-gantry-v2:"));
    let output = Command::new(binary()).arg("-info").output().expect("it runs");
    let info =
        gantry_proto::containerd::types::RuntimeInfo::decode(output.stdout.as_slice()).expect("protobuf");
    assert_eq!(info.name, "io.containerd.gantry.v2");
    assert!(
        !Command::new(binary())
            .args(["-namespace", "x", "start"])
            .output()
            .expect("it runs")
            .status
            .success()
    );
}

#[test]
fn the_init_applet_passes_signals_and_statuses_on() {
    let status = Command::new(binary()).args(["init", "--", "sh", "-c", "exit 9"]).status().expect("it runs");
    assert_eq!(status.code(), Some(9));
    let script = "(sleep 0.05; kill -TERM $PPID) & trap 'exit 6' TERM; while :; do sleep 0.01; done";
    let status = Command::new(binary()).args(["init", "sh", "-c", script]).status().expect("it runs");
    assert_eq!(status.code(), Some(6));
    let status = Command::new(binary()).args(["init", "--", "/no/such"]).status().expect("it runs");
    assert_eq!(status.code(), Some(127));
    // A real-time signal: the applet forwards it, and it ends the program.
    let script = "(sleep 0.05; kill -37 $PPID) & while :; do sleep 0.01; done";
    let status = Command::new(binary()).args(["init", "sh", "-c", script]).status().expect("it runs");
    assert_eq!(status.code(), Some(128 + 37));
}

#[test]
fn the_init_applets_program_alone_gets_what_is_typed() {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    let master = openpt(flags).expect("a terminal");
    unlockpt(&master).expect("a terminal");
    let terminal = ioctl_tiocgptpeer(&master, flags).expect("a terminal");
    // Field 5 is the process's group, field 8 the foreground group of its terminal.
    let script = "read pid name state parent group session tty front rest < /proc/self/stat; \
                  test $group = $$ && test $front = $$";
    let status = Command::new("setsid")
        .args(["--ctty", "--wait", &binary(), "init", "--", "sh", "-c", script])
        .stdin(terminal)
        .status()
        .expect("it runs");
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn unknown_things_are_not_found_and_checkpoints_unimplemented() {
    let mut place = Place::new(&["true"]);
    let mut client = place.connect().await;
    let state = client.state(task::StateRequest { id: "x".into(), ..Default::default() }).await;
    assert_eq!(state.expect_err("unknown").code(), Code::NotFound);
    let checkpoint =
        client.checkpoint(task::CheckpointTaskRequest { id: "x".into(), ..Default::default() }).await;
    assert_eq!(checkpoint.expect_err("not built").code(), Code::Unimplemented);
    client.shutdown(task::ShutdownRequest { id: place.id.clone(), now: false }).await.expect("shut down");
}

#[tokio::test]
async fn another_runtime_is_asked_and_its_reason_told() {
    let mut place = Place::new(&["true"]);
    let mut client = place.connect().await;
    let options = Options { binary_name: "/no/such/runtime".into(), ..Default::default() };
    let request = task::CreateTaskRequest {
        options: Some(gantry_proto::pack(&options)),
        ..place.create_request(&Io::default())
    };
    let failed = client.create(request).await.expect_err("no runtime");
    assert!(failed.message().contains("/no/such/runtime"), "{}", failed.message());
    client.shutdown(task::ShutdownRequest { id: place.id.clone(), now: true }).await.expect("shut down");
}
