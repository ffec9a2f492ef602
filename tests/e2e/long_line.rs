//! A container whose output has no newline.

use std::time::Duration;

use gantry_tests::{Node, eventually};

/// The highest resident memory of a process in KiB.
fn peak(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

#[test]
fn a_line_of_a_gigabyte_takes_little_memory_and_disk() {
    let node = Node::start();
    let script = "head -c 1073741824 /dev/zero | tr '\\0' x; touch /written; while [ -e /written ]; do sleep 0.05; done";
    let options = ["run", "-d", "--name", "box", "--log-opt", "max-size=10m", "--log-opt", "max-file=2"];
    node.docker(&[&options[..], &["busybox", "sh", "-c", script][..]].concat()).ok();
    let before = peak(node.shim("box")).expect("the shim is there");
    eventually("the line is written", Duration::from_secs(300), || {
        match node.docker(&["exec", "box", "ls", "/written"]).code {
            0 => Ok(()),
            code => Err(format!("ls ends with {code}")),
        }
    });
    let peak = peak(node.shim("box")).expect("the shim is there");
    assert!(peak - before < 8 << 10, "the shim took {before} KiB, and then {peak} KiB");
    node.docker(&["exec", "box", "rm", "/written"]).ok();
    assert_eq!(node.docker(&["wait", "box"]).ok(), "0");

    let kept = node.docker(&["logs", "box"]).ok().len();
    assert!((8 << 20..20 << 20).contains(&kept), "{kept} bytes of logs");
    let last = node.docker(&["logs", "--tail", "1", "box"]).ok().len();
    assert!((1..=kept).contains(&last), "{last} bytes at the end");
    for service in ["engine", "gateway"] {
        let peak = self::peak(node.pid(service)).expect("it runs");
        assert!(peak < 256 << 10, "{service} took {peak} KiB");
    }
}
