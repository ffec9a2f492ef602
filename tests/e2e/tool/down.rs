//! Starts that fail, and commands without services: each fails at once, with one line that says what to do.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gantry_tests::{Client, Node, Outcome, Setup, SmallDisk, eventually};

use super::{gantry, refused, told_in_one_line};

/// Longer than any failure that comes at once.
const AT_ONCE: Duration = Duration::from_secs(15);

/// A node without running services, and the directory of its settings.
fn stopped() -> (Node, PathBuf) {
    let mut node = Node::empty();
    node.down(&[]);
    let settings = node.root().join("config");
    (node, settings)
}

fn up(node: &Node, flags: &[&str]) -> Outcome {
    let settings = node.root().join("config").display().to_string();
    let begun = Instant::now();
    let outcome = node.gantry(&[&["up", "--config", &settings], flags].concat());
    assert!(begun.elapsed() < AT_ONCE, "{:?}: {outcome:#?}", begun.elapsed());
    outcome
}

fn nothing_runs(node: &Node) {
    let status = node.gantry(&["status"]);
    assert_eq!(status.code, 1, "{status:#?}");
    assert!(!status.stdout.contains("serving"), "{status:#?}");
}

#[test]
fn up_says_where_docker_s_clients_connect() {
    let (node, _) = stopped();
    let socket = node.socket("docker.sock");
    let expected = format!(
        "ready\nDocker's clients connect to {0}:\n    export DOCKER_HOST=unix://{0}",
        socket.display()
    );
    assert_eq!(up(&node, &["--detach"]).ok(), expected);
    assert_eq!(node.docker(&["ps", "-q"]).ok(), "");
}

#[test]
fn settings_that_are_wrong_are_told_at_once() {
    let (mut node, settings) = stopped();
    node.permit(&["is not a loopback address"]);
    for (service, text, words) in [
        (
            "gateway",
            "tpc = [\"127.0.0.1:2375\"]",
            "gateway does not start: settings of gateway: unknown field `tpc`",
        ),
        ("images", "connections = \"many\"", "images does not start: settings of images: "),
        ("engine", "snapshotter = \"native\"\nlog = ", "engine.toml, line 2: "),
        ("gateway", "tcp = [\"0.0.0.0:2375\"]", "is not a loopback address"),
    ] {
        let file = settings.join(format!("{service}.toml"));
        std::fs::write(&file, text).expect("written");
        for flags in [&["--detach"][..], &[]] {
            told_in_one_line(&up(&node, flags), 125, words);
            nothing_runs(&node);
        }
        std::fs::remove_file(file).expect("removed");
    }
    node.up();
}

#[test]
fn a_port_that_is_taken_is_told_at_once() {
    let (mut node, settings) = stopped();
    node.permit(&["Address already in use"]);
    let mut command = node.inside(Path::new("python3"));
    command.args(["-m", "http.server", "--bind", "127.0.0.1", "2375"]).stderr(std::process::Stdio::null());
    let taker = Client::start(command);
    eventually("the port is taken", Duration::from_secs(10), || match node.exec(&["ss", "-ltnH"]).stdout {
        ports if ports.contains(":2375") => Ok(()),
        ports => Err(ports),
    });
    for key in ["tcp = [\"127.0.0.1:2375\"]", "metrics = \"127.0.0.1:2375\""] {
        std::fs::write(settings.join("gateway.toml"), key).expect("written");
        told_in_one_line(
            &up(&node, &["--detach"]),
            125,
            "gateway does not start: listen on 127.0.0.1:2375: ",
        );
        nothing_runs(&node);
    }
    drop(taker);
    node.up();
}

#[test]
fn a_disk_that_is_full_is_told_at_once() {
    let disk = SmallDisk::new(256);
    let mut node = Node::with(&Setup { folder: Some(&disk.path()), ..Setup::default() });
    node.down(&[]);
    let filling = disk.fill();
    let outcome = up(&node, &["--detach"]);
    std::fs::remove_file(filling).expect("removed");
    told_in_one_line(&outcome, 125, "is full: make room there");
    node.up();
}

#[test]
fn who_is_not_root_is_told_so() {
    let node = Node::empty();
    // A directory that every user can read.
    let folder = tempfile::TempDir::with_prefix_in("gantry-anybody-", "/dev/shm").expect("a folder");
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("ours");
    std::fs::copy(gantry(&node), folder.path().join("gantry")).expect("copied");
    let as_nobody = |arguments: &[&str]| {
        let mut command = node.inside(Path::new("setpriv"));
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command.arg(folder.path().join("gantry")).arg("--root").arg(node.root()).args(arguments);
        Outcome::of(command, b"")
    };
    told_in_one_line(&as_nobody(&["up", "--detach"]), 125, "needs root");
    std::fs::set_permissions(node.root(), PermissionsExt::from_mode(0o755)).expect("ours");
    told_in_one_line(&as_nobody(&["ps"]), 1, "no right to ");
}

#[test]
fn without_services_every_command_says_how_to_start_them() {
    let (mut node, _) = stopped();
    let words = format!("start them with `gantry --root {} up --detach`", node.root().display());
    for (arguments, code) in [
        (&["ps"][..], 1),
        (&["run", "busybox"], 125),
        (&["create", "busybox"], 1),
        (&["start", "x"], 1),
        (&["exec", "x", "true"], 1),
        (&["logs", "x"], 1),
        (&["cp", "x:/a", "."], 1),
        (&["images"], 1),
        (&["pull", "busybox"], 1),
        (&["save", "busybox"], 1),
        (&["volume", "ls"], 1),
        (&["net", "ls"], 1),
        (&["inspect", "x"], 1),
        (&["events"], 1),
        (&["info"], 1),
        (&["df"], 1),
        (&["prune", "-f"], 1),
        (&["metrics"], 125),
        (&["fsck"], 125),
        (&["backup", "create", "/nowhere/backup"], 125),
    ] {
        refused(&node, arguments, code, &words);
    }
    let status = node.gantry(&["status"]);
    assert!(status.stderr.contains(&words), "{status:#?}");
    node.up();
    // The error names the service that is down.
    let engine = rustix::process::Pid::from_raw(node.pid("engine").cast_signed()).expect("a pid");
    rustix::process::kill_process(engine, rustix::process::Signal::STOP).expect("it runs");
    rustix::process::kill_process(engine, rustix::process::Signal::CONT).expect("it runs");
    assert_eq!(node.gantry(&["ps", "-q"]).ok(), "");
}

#[test]
fn words_that_make_no_sense_are_told_in_one_line() {
    let node = Node::empty();
    for (arguments, words) in [
        (&["rum"][..], "unrecognized subcommand 'rum'; see `gantry --help`"),
        (&["run", "--memory", "lots", "busybox"], "invalid value 'lots' for '--memory <BYTES>'"),
        (&["run"], "<IMAGE>"),
        (&["ps", "--colour"], "unexpected argument '--colour' found"),
    ] {
        refused(&node, arguments, 125, words);
    }
    refused(&node, &["--json", "cp", "a:/b", "c"], 1, "--json: this command prints no objects");
    let help = node.gantry(&["--help"]).ok();
    assert!(help.contains("Containers:") && help.contains("Examples:"), "{help}");
    assert!(node.gantry(&["run", "--help"]).ok().contains("Limits:"));
    assert!(node.gantry(&["--version"]).ok().starts_with("gantry "));
}
