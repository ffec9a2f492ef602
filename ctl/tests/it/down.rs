//! What `gantry down` ends, and what it leaves alone.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use crate::{Root, Running, errors};

/// Where the process that [`listens`] does so.
const SOCKET: &str = "GANTRY_TEST_SOCKET";

#[test]
#[ignore = "a process of the other tests"]
fn listens() {
    let Some(socket) = std::env::var_os(SOCKET) else { return };
    let _listener = UnixListener::bind(socket).expect("bound");
    println!("\nlistening");
    loop {
        std::thread::park();
    }
}

/// A process that listens where `content` does. `shell` sets its environment, in which `$$` is its own pid.
fn content(root: &Root, shell: &str) -> Running {
    let script = format!("{shell} exec \"$0\" --exact down::listens --include-ignored --nocapture");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(std::env::current_exe().expect("this program"));
    // By its name alone: a path to it may be too long.
    command.env(SOCKET, "content.sock").current_dir(root.0.join("run")).stdout(Stdio::piped());
    let mut child = Running(command.spawn().expect("a shell"));
    let mut lines = BufReader::new(child.0.stdout.take().expect("piped")).lines();
    assert!(lines.any(|line| line.expect("text") == "listening"));
    child
}

#[test]
fn root_services_that_systemd_runs_are_left_to_it() {
    let root = Root::new("unit");
    let mut unit = content(&root, "SYSTEMD_EXEC_PID=$$; export SYSTEMD_EXEC_PID;");
    for arguments in [&["down"][..], &["down", "--all"], &["up"]] {
        let output = root.run(arguments);
        assert_eq!(output.status.code(), Some(125), "{output:?}");
        let told = format!("content (pid {}); stop them with `systemctl stop gantry.target`", unit.0.id());
        assert!(errors(&output).contains(&told), "{output:?}");
        assert_eq!(unit.0.try_wait().expect("a child"), None, "{arguments:?}");
    }
}

#[test]
fn a_service_that_a_supervisor_left_is_ended_though_it_was_under_systemd() {
    let root = Root::new("orphan");
    // As in a shell that cron(8) started.
    let mut orphan = content(&root, "SYSTEMD_EXEC_PID=1; export SYSTEMD_EXEC_PID;");
    let output = root.run(&["down"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    orphan.0.wait().expect("it has ended");
}

#[test]
fn services_are_ended_though_containers_cannot_be_stopped() {
    let root = Root::new("silent");
    let mut service = content(&root, "");
    std::fs::create_dir_all(root.0.join("run/bundles/moby/box")).expect("a folder");
    let output = root.run(&["down", "--all"]);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    for told in ["stop the containers: service engine is away", "moby/box may go on running"] {
        assert!(errors(&output).contains(told), "{output:?}");
    }
    service.0.wait().expect("it has ended");
}
