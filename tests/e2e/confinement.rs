//! The privileges that each process keeps.

use gantry_descriptor::{Capability, Privileges, SERVICES};
use gantry_tests::Node;

/// A field of proc_pid_status(5).
fn status(pid: u32, field: &str) -> String {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("{field} in {path}")).trim().to_owned()
}

/// A set of capabilities as proc_pid_status(5) prints it.
fn set(capabilities: &[Capability]) -> String {
    format!("{:016x}", capabilities.iter().fold(0, |set, capability| set | capability.bitmask()))
}

/// The kernel's version.
fn kernel() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("/proc is mounted");
    let mut numbers = release.split(['.', '-', '\n']).map(|number| number.parse().expect("a number"));
    (numbers.next().expect("a version"), numbers.next().expect("a patch level"))
}

#[test]
fn services_keep_no_more_than_they_need() {
    let node = Node::empty();
    for service in SERVICES {
        let Privileges::Only(kept) = service.privileges else { continue };
        let (service, kept, pid) = (service.name, set(kept), node.pid(service.name));
        assert_eq!(status(pid, "CapEff"), kept, "{service}");
        assert_eq!(status(pid, "CapPrm"), kept, "{service}");
        assert_eq!(status(pid, "NoNewPrivs"), "1", "{service}");
        assert_eq!(status(pid, "Seccomp"), "2", "{service}: a filter");
    }
    // The log names what this kernel does not support, and nothing else.
    let logs = node.logs();
    assert_eq!(logs.contains("Landlock"), kernel() < (6, 12), "{logs}");
}

#[test]
fn shims_are_as_free_as_who_starts_gantry() {
    let node = Node::start();
    node.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    let init = node.docker(&["inspect", "-f", "{{.State.Pid}}", "box"]).ok().parse().expect("a pid");
    let shim = status(init, "PPid").parse().expect("a pid");
    for pid in [node.pid("tasks"), shim] {
        for field in ["CapEff", "CapBnd", "NoNewPrivs", "Seccomp"] {
            assert_eq!(status(pid, field), status(std::process::id(), field), "{field} of {pid}");
        }
    }
}
