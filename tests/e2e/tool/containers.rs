//! Commands on existing containers.

use std::time::{Duration, Instant};

use gantry_tests::{Node, eventually, json_lines};

use super::refused;

const ASLEEP: [&str; 2] = ["sleep", "1000"];

fn sleeper(node: &Node, name: &str, flags: &[&str]) {
    node.gantry(&[&["run", "-d", "--name", name], flags, &["busybox"], &ASLEEP].concat()).ok();
}

fn state(node: &Node, name: &str) -> String {
    json_lines(&node.gantry(&["--json", "inspect", name]).ok())[0]["status"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn containers_are_stopped_and_started_again() {
    let node = Node::start();
    let id = node
        .gantry(&[
            "create",
            "--name",
            "box",
            "busybox",
            "sh",
            "-c",
            "trap 'exit 3' TERM; while :; do sleep 0.02; done",
        ])
        .ok();
    assert_eq!((id.len(), state(&node, "box").as_str()), (64, "created"));
    assert_eq!(node.gantry(&["start", "box"]).ok(), "box");
    let first = node.container_pid("box");
    assert_eq!(node.gantry(&["restart", "-t", "5", "box"]).ok(), "box");
    assert_ne!(node.container_pid("box"), first);
    node.gantry(&["pause", "box"]).ok();
    assert_eq!(state(&node, "box"), "paused");
    node.gantry(&["unpause", "box"]).ok();
    node.gantry(&["rename", "box", "crate"]).ok();
    // Two at a time, each with its own stop timeout.
    sleeper(&node, "other", &["--stop-timeout", "0"]);
    let begun = Instant::now();
    assert_eq!(node.gantry(&["stop", "crate", "other"]).ok(), "crate\nother");
    assert!(begun.elapsed() < Duration::from_secs(9));
    assert_eq!(node.gantry(&["wait", "crate", "other"]).ok(), "3\n137");
    assert_eq!(state(&node, "crate"), "exited");
    node.gantry(&["start", "crate"]).ok();
    assert_eq!(node.gantry(&["kill", "-s", "TERM", "crate"]).ok(), "crate");
    eventually("it ends", Duration::from_secs(5), || {
        let state = state(&node, "crate");
        if state == "exited" { Ok(()) } else { Err(state) }
    });
    assert_eq!(node.gantry(&["rm", "-f", "crate", "other"]).ok(), "crate\nother");
}

#[test]
fn what_is_not_there_or_does_not_run_is_told_in_one_line() {
    let node = Node::start();
    node.gantry(&["create", "--name", "still", "busybox", "true"]).ok();
    for verb in ["start", "stop", "restart", "kill", "pause", "unpause", "wait", "rm", "top", "logs", "stats"]
    {
        let flags: &[&str] = if verb == "stats" { &["--no-stream"] } else { &[] };
        refused(&node, &[&[verb], flags, &["nobody"]].concat(), 1, "No such container: nobody");
    }
    refused(&node, &["rename", "nobody", "x"], 1, "No such container: nobody");
    refused(&node, &["update", "-m", "64m", "nobody"], 1, "No such container: nobody");
    refused(&node, &["update", "still"], 1, "nothing is to be changed");
    refused(&node, &["exec", "nobody", "true"], 1, "No such container: nobody");
    refused(&node, &["kill", "still"], 1, "is not running");
    refused(&node, &["exec", "still", "true"], 1, "is not running");
    refused(&node, &["top", "still"], 1, "is not running");
    refused(&node, &["pause", "still"], 1, "is not running");
    // The existing ones of several are handled.
    let some = node.gantry(&["rm", "nobody", "still"]);
    assert_eq!((some.code, some.stdout.trim()), (1, "still"));
    let forced = node.gantry(&["rm", "-f", "nobody"]);
    assert_eq!(forced.code, 0, "{forced:#?}");
}

#[test]
fn a_container_is_started_and_watched() {
    let node = Node::start();
    node.gantry(&["create", "--name", "said", "busybox", "sh", "-c", "echo hello; exit 6"]).ok();
    let outcome = node.gantry(&["start", "-a", "said"]);
    assert_eq!((outcome.code, outcome.stdout.trim()), (6, "hello"), "{outcome:#?}");
    node.gantry(&["create", "-i", "--name", "cat", "busybox", "cat"]).ok();
    let outcome = node.gantry_with(&["start", "-ai", "cat"], b"through");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "through"), "{outcome:#?}");
    node.gantry(&["create", "--name", "bad", "busybox", "/no/such"]).ok();
    refused(&node, &["start", "bad"], 1, "no such file or directory");
    refused(&node, &["start", "-a", "bad"], 1, "no such file or directory");
    refused(&node, &["start", "-a", "said", "cat"], 1, "only one container");
}

#[test]
fn processes_and_use_are_shown() {
    let node = Node::start();
    sleeper(&node, "box", &["-m", "64m"]);
    let top = node.gantry(&["top", "box"]).ok();
    assert!(top.starts_with("UID") && top.contains("sleep 1000"), "{top}");
    assert!(node.gantry(&["top", "box", "-o", "pid,comm"]).ok().contains("sleep"));
    assert_eq!(json_lines(&node.gantry(&["--json", "top", "box"]).ok())[0]["CMD"], "sleep 1000");
    let stats = node.gantry(&["stats", "--no-stream"]).ok();
    assert!(
        stats.contains("MEM USAGE / LIMIT") && stats.contains("64MiB") && stats.contains("box"),
        "{stats}"
    );
    let line = node.gantry(&["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", "box"]).ok();
    assert_eq!(line, "box 1");
    let whole = &json_lines(&node.gantry(&["--json", "stats", "--no-stream"]).ok())[0];
    assert_eq!((&whole["name"], &whole["memory_limit_bytes"]), (&"box".into(), &(64 << 20).into()));
    refused(
        &node,
        &["stats", "--no-stream", "--format", "{{.Heat}}"],
        1,
        "there is no field .Heat, but ID, Name, ",
    );
}

#[test]
fn limits_are_changed_while_it_runs() {
    let node = Node::start();
    sleeper(&node, "box", &["-m", "64m", "--memory-swap", "128m"]);
    assert_eq!(node.gantry(&["update", "--memory", "96m", "--restart", "unless-stopped", "box"]).ok(), "box");
    let whole = &json_lines(&node.gantry(&["--json", "inspect", "box"]).ok())[0];
    assert_eq!(whole["limits"]["memory_bytes"], 96 << 20);
    assert_eq!(whole["restart_policy"]["name"], "unless-stopped");
    refused(&node, &["update", "--restart", "sometimes", "box"], 1, "--restart sometimes");
    refused(&node, &["update", "--memory", "1k", "box"], 1, "inimum memory limit");
}

#[test]
fn commands_inside_end_as_their_program_does() {
    let node = Node::start();
    sleeper(&node, "box", &["-e", "A=1"]);
    let code = |arguments: &[&str]| node.gantry(&[&["exec"], arguments].concat()).code;
    assert_eq!(code(&["box", "sh", "-c", "exit 9"]), 9);
    assert_eq!(
        node.gantry(&["exec", "-e", "B=2", "-w", "/tmp", "box", "sh", "-c", "echo $A$B $PWD"]).ok(),
        "12 /tmp"
    );
    assert_eq!(node.gantry(&["exec", "-u", "7:8", "box", "id", "-u"]).ok(), "7");
    assert_eq!(node.gantry_with(&["exec", "-i", "box", "cat"], b"in").ok(), "in");
    refused(&node, &["exec", "box", "/no/such"], 127, "no such file or directory");
    refused(&node, &["exec", "box", "/tmp"], 126, "ermission denied");
    refused(&node, &["exec", "-it", "box", "sh"], 1, "the input device is not a TTY");
    assert_eq!(node.gantry(&["exec", "-d", "box", "touch", "/made"]).ok(), "");
    eventually("the file", Duration::from_secs(5), || match code(&["box", "test", "-e", "/made"]) {
        0 => Ok(()),
        code => Err(code.to_string()),
    });
}

#[test]
fn a_terminal_has_the_size_of_ours() {
    let node = Node::start();
    sleeper(&node, "box", &[]);
    let tool = format!("{} --root {}", super::gantry(&node).display(), node.root().display());
    for command in ["exec -it box stty size", "run --rm -it busybox stty size"] {
        let mut script = node.inside("script".as_ref());
        script.args(["-qec", &format!("stty rows 33 cols 77; {tool} {command}"), "/dev/null"]);
        let outcome = gantry_tests::Outcome::of(script, b"");
        assert!(outcome.stdout.contains("33 77"), "{command}: {outcome:#?}");
    }
}

#[test]
fn a_part_of_a_log() {
    let node = Node::start();
    node.gantry(&["run", "--name", "box", "busybox", "sh", "-c", "echo 1; echo 2; sleep 1.2; echo 3"]).ok();
    assert_eq!(node.gantry(&["logs", "box"]).ok(), "1\n2\n3");
    assert_eq!(node.gantry(&["logs", "-n", "1", "box"]).ok(), "3");
    let stamped = node.gantry(&["logs", "-t", "--tail", "1", "box"]).ok();
    let (time, _) = stamped.split_once(' ').expect("a time");
    assert_eq!(node.gantry(&["logs", "--since", time, "box"]).ok(), "3");
    assert_eq!(node.gantry(&["logs", "--until", "1h", "box"]).ok(), "");
    refused(&node, &["logs", "--since", "yesterday", "box"], 1, "--since: ");
    refused(&node, &["logs", "--tail", "some", "box"], 1, "--tail some");
}
