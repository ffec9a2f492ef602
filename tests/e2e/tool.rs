//! The operator's tool.

mod containers;
mod cp;
mod down;
mod events;
mod housekeeping;
mod images;
mod lists;
mod networks;
mod options;
mod volumes;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use gantry_tests::{Client, Node, eventually, image, json_lines, runs};
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn containers_are_run_and_looked_after() {
    let node = Node::start();
    assert_eq!(node.gantry(&["run", "--rm", "busybox", "echo", "hello"]).ok(), "hello");
    assert_eq!(node.gantry(&["run", "--rm", "busybox", "sh", "-c", "exit 4"]).code, 4);
    let id = node.gantry(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    assert!(node.gantry(&["ps"]).ok().contains("Up "));
    assert_eq!(json_lines(&node.gantry(&["--json", "ps"]).ok())[0]["id"], id.as_str());
    assert_eq!(node.gantry(&["exec", "box", "echo", "inside"]).ok(), "inside");
    assert!(node.gantry(&["inspect", "box"]).ok().contains(&id));
    node.gantry(&["stop", "-t", "0", "box"]).ok();
    node.gantry(&["rm", "box"]).ok();
    assert!(node.gantry(&["images"]).ok().contains("busybox:latest"));
    assert!(node.gantry(&["net", "ls"]).ok().contains("bridge"));
    assert!(node.gantry(&["version"]).ok().contains("gantryd"));
    node.gantry(&["rmi", "busybox"]).ok();
}

#[test]
fn every_service_reports_its_state() {
    let node = Node::empty();
    let services = json_lines(&node.gantry(&["--json", "status"]).ok());
    assert_eq!(services.len(), 8);
    for service in &services {
        assert_eq!(service["healthy"], true, "{service}");
        assert!(service["memory_bytes"].as_u64() > Some(0), "{service}");
    }
    let memory: u64 = services.iter().filter_map(|service| service["memory_bytes"].as_u64()).sum();
    // The optimized build must stay below 100 MiB, which the benchmark checks; the code of this build is twice as
    // large, and how much of it counts depends on how many processes share it.
    assert!(memory < 160 << 20, "{memory} bytes for all services, idle");
}

#[test]
fn an_image_is_imported_from_a_file() {
    let node = Node::empty();
    let tar = node.root().join("root.tar");
    std::fs::write(&tar, image::busybox_tar()).expect("a file");
    node.gantry(&[
        "image",
        "import",
        "--change",
        "CMD [\"echo\", \"imported\"]",
        &tar.to_string_lossy(),
        "mine:1",
    ])
    .ok();
    assert_eq!(node.gantry(&["run", "--rm", "mine:1"]).ok(), "imported");
}

#[test]
fn down_leaves_containers_running_and_up_finds_them() {
    let mut node = Node::start();
    let id = node.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    let pid = node.container_pid("box");
    node.gantry(&["down"]).ok();
    assert!(runs(pid), "the container goes on");
    node.up();
    assert_eq!(node.docker(&["ps", "-q", "--no-trunc"]).ok(), id);
    assert_eq!(node.docker(&["exec", "box", "echo", "alive"]).ok(), "alive");
}

#[test]
fn down_all_takes_the_networks_down_and_up_makes_them_again() {
    let mut node = Node::start();
    let links = |node: &Node| {
        let rows = node.exec(&["ip", "-o", "link", "show"]).ok();
        rows.lines().map(|row| row.split(' ').nth(1).unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    node.docker(&["network", "create", "net"]).ok();
    let flags = ["-d", "--name", "box", "--network", "net", "-p", "8080:80", "--restart", "always"];
    node.docker(&[&["run"], &flags[..], &["busybox", "sleep", "1000"]].concat()).ok();
    node.down(&["--all"]);
    assert_eq!(links(&node), ["lo:"]);
    node.up();
    eventually("the container is back", std::time::Duration::from_secs(10), || {
        match node.docker(&["ps", "--format", "{{.Networks}} {{.Ports}}"]).ok().as_str() {
            "net 0.0.0.0:8080->80/tcp" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
}

#[test]
fn a_container_in_the_foreground_gets_the_tool_s_signals() {
    let node = Node::start();
    // A shell that execs the tool: the same process.
    let mut command = Command::new("sh");
    command.args(["-c", "echo $$; exec \"$0\" \"$@\""]).arg(gantry(&node)).arg("--root").arg(node.root());
    let script = "for s in INT HUP QUIT USR1 USR2; do trap \"echo $s\" $s; done; trap 'exit 7' TERM; \
                  echo ready; while :; do sleep 0.02; done";
    command.args(["run", "--rm", "--name", "box", "busybox", "sh", "-c", script]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut tool = Client::start(command);
    let mut lines = BufReader::new(tool.stdout()).lines().map(|line| line.expect("text"));
    let pid = lines.next().and_then(|line| Pid::from_raw(line.parse().ok()?)).expect("a pid");
    assert_eq!(lines.next().as_deref(), Some("ready"));
    // It continues after the second Ctrl-C.
    for (signal, name) in [
        (Signal::INT, "INT"),
        (Signal::INT, "INT"),
        (Signal::HUP, "HUP"),
        (Signal::QUIT, "QUIT"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
    ] {
        kill_process(pid, signal).expect("it runs");
        assert_eq!(lines.next().as_deref(), Some(name));
    }
    kill_process(pid, Signal::TERM).expect("it runs");
    assert_eq!(lines.next(), None);
    assert_eq!(tool.wait().code(), Some(7));
    assert_eq!(node.docker(&["ps", "-aq"]).ok(), "");
}

#[test]
fn down_ends_everything_though_the_engine_does_not_answer() {
    let mut node = Node::start();
    node.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    let pid = node.container_pid("box");
    let services: Vec<_> = ["engine", "tasks", "content"].map(|service| node.pid(service)).into();
    let engine = Pid::from_raw(services[0].cast_signed()).expect("a pid");
    kill_process(engine, Signal::STOP).expect("it runs");
    let told = node.gantry(&["down", "--all"]).fails(125);
    assert!(told.contains("stop the containers: engine does not answer"), "{told}");
    for pid in services.into_iter().chain([pid]) {
        eventually("the end of it", std::time::Duration::from_secs(5), || match runs(pid) {
            true => Err(format!("{pid} runs")),
            false => Ok(()),
        });
    }
    node.up();
}

#[test]
fn a_beginning_of_several_ids_is_ambiguous() {
    let node = Node::start();
    // Of seventeen ids, two begin with the same digit.
    let ids: Vec<_> = (0..17).map(|_| node.docker(&["create", "busybox", "true"]).ok()).collect();
    let alike =
        "0123456789abcdef".chars().find(|digit| ids.iter().filter(|id| id.starts_with(*digit)).count() > 1);
    let told = node.gantry(&["inspect", &alike.expect("there are sixteen").to_string()]).fails(1);
    assert!(told.contains("multiple IDs found with provided prefix"), "{told}");
    refused(&node, &["inspect", "Web Shop"], 1, "no container, image, volume or network is named Web Shop");
}

/// A command that fails prints the reason in one line, and nothing else.
#[track_caller]
fn refused(node: &Node, arguments: &[&str], code: i32, words: &str) {
    told_in_one_line(&node.gantry(arguments), code, words);
}

#[track_caller]
fn told_in_one_line(outcome: &gantry_tests::Outcome, code: i32, words: &str) {
    assert_eq!((outcome.code, outcome.stdout.as_str()), (code, ""), "{outcome:#?}");
    let lines: Vec<_> = outcome.stderr.lines().collect();
    let [line] = lines[..] else { panic!("not one line: {outcome:#?}") };
    assert!(line.starts_with("gantry: ") && line.contains(words), "{words:?} is not in {outcome:#?}");
}

/// The path of the tool.
fn gantry(node: &Node) -> std::path::PathBuf {
    // The tool is beside the services' binary.
    let services = std::fs::read_link(format!("/proc/{}/exe", node.pid("control"))).expect("it runs");
    services.with_file_name("gantry")
}
