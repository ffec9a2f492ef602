//! What hangs does not make those hang who want to be rid of it.

use std::fs;

use gantry_tests::Node;
use rustix::process::{Pid, Signal, kill_process};

/// The shim of a container: its command line names it.
fn shim_of(id: &str) -> Pid {
    let pids = fs::read_dir("/proc").expect("/proc is mounted").flatten();
    let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_shim = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split(|byte| *byte == 0).collect();
        words.contains(&&b"serve"[..]) && words.contains(&id.as_bytes())
    };
    pids.find(is_shim).and_then(Pid::from_raw).expect("it has a shim")
}

#[test]
fn a_container_whose_shim_hangs_can_be_removed() {
    let node = Node::start();
    let id = node.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    kill_process(shim_of(&id), Signal::STOP).expect("it runs");
    node.docker(&["rm", "-f", "box"]).ok();
    assert_eq!(node.docker(&["ps", "-aq"]).ok(), "");
    // The name is free.
    node.docker(&["run", "--name", "box", "busybox", "true"]).ok();
}
