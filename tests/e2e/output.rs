//! Logs and exec.

use gantry_tests::Node;

#[test]
fn logs_are_kept_by_stream_and_time() {
    let node = Node::start();
    let script = "for i in 1 2 3 4 5; do echo line $i; done; echo oops >&2";
    node.docker(&["run", "--name", "box", "busybox", "sh", "-c", script]).ok();
    let logs = node.docker(&["logs", "box"]);
    assert_eq!(logs.stdout, "line 1\nline 2\nline 3\nline 4\nline 5\n");
    assert_eq!(logs.stderr, "oops\n");
    assert_eq!(node.docker(&["logs", "--tail", "2", "box"]).stdout, "line 5\n");
    let stamped = node.docker(&["logs", "-t", "--tail", "6", "box"]).ok();
    assert!(stamped.starts_with("20") && stamped.contains("Z line 1"), "{stamped}");
    assert_eq!(node.docker(&["logs", "--since", "2100-01-01", "box"]).ok(), "");
}

#[test]
fn following_ends_with_the_container() {
    let node = Node::start();
    node.docker(&[
        "run",
        "-d",
        "--name",
        "box",
        "busybox",
        "sh",
        "-c",
        "for i in 1 2 3; do echo $i; sleep 0.2; done",
    ])
    .ok();
    assert_eq!(node.docker(&["logs", "-f", "box"]).ok(), "1\n2\n3");
}

#[test]
fn logs_rotate() {
    let node = Node::start();
    let options = ["run", "--name", "box", "--log-opt", "max-size=10k", "--log-opt", "max-file=2"];
    let command = ["busybox", "sh", "-c", "i=0; while [ $i -lt 1000 ]; do echo line $i; i=$((i+1)); done"];
    node.docker(&[&options[..], &command[..]].concat()).ok();
    let logs = node.docker(&["logs", "box"]).ok();
    assert!(logs.ends_with("line 999") && logs.lines().count() < 1000, "{} lines", logs.lines().count());
}

#[test]
fn the_driver_none_keeps_nothing() {
    let node = Node::start();
    node.docker(&["run", "--name", "box", "--log-driver", "none", "busybox", "echo", "x"]).ok();
    assert!(node.docker(&["logs", "box"]).fails(1).contains("does not support reading"));
    node.docker(&["create", "--log-driver", "no-such-driver", "busybox"]).fails(1);
}

#[test]
fn a_very_long_line_arrives_whole() {
    let node = Node::start();
    let script = "head -c 3000000 /dev/zero | tr '\\0' x; echo";
    let output = node.docker(&["run", "--name", "box", "busybox", "sh", "-c", script]).ok();
    assert_eq!(output.len(), 3_000_000);
    assert_eq!(node.docker(&["logs", "box"]).ok().len(), 3_000_000);
}

#[test]
fn further_processes_run_inside() {
    let node = Node::start();
    node.docker(&["run", "-d", "--name", "box", "-e", "A=1", "busybox", "sleep", "1000"]).ok();
    assert_eq!(node.docker(&["exec", "box", "echo", "inside"]).ok(), "inside");
    assert_eq!(node.docker(&["exec", "box", "sh", "-c", "exit 9"]).code, 9);
    assert_eq!(
        node.docker(&[
            "exec",
            "-u",
            "alice",
            "-w",
            "/tmp",
            "-e",
            "B=2",
            "box",
            "sh",
            "-c",
            "id -un; pwd; echo $A$B"
        ])
        .ok(),
        "alice\n/tmp\n12"
    );
    assert_eq!(node.docker_with(&["exec", "-i", "box", "cat"], b"through").ok(), "through");
    node.docker(&["exec", "box", "no-such-program"]).fails(127);
    node.docker(&["exec", "-d", "box", "touch", "/made"]).ok();
    node.docker(&[
        "exec",
        "box",
        "sh",
        "-c",
        "for i in 1 2 3 4 5 6 7 8 9; do [ -e /made ] && exit; sleep 0.1; done; exit 1",
    ])
    .ok();
    node.docker(&["pause", "box"]).ok();
    node.docker(&["exec", "box", "true"]).fails(1);
    node.docker(&["unpause", "box"]).ok();
    node.docker(&["kill", "box"]).ok();
    node.docker(&["wait", "box"]).ok();
    node.docker(&["exec", "box", "true"]).fails(1);
}
