//! Objects that no name leads to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gantry_tests::{Node, eventually, kill};

/// The cgroup directories of a process, except those that it shares with this test.
fn cgroups(pid: u32) -> Vec<PathBuf> {
    let lines = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
    let own = lines("self");
    let mut found = Vec::new();
    for line in lines(&pid.to_string()).lines().filter(|line| !own.contains(line)) {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let hierarchy = controllers.trim_start_matches("name=");
        let directory = Path::new("/sys/fs/cgroup").join(hierarchy).join(path.trim_start_matches('/'));
        if directory.is_dir() {
            found.push(directory);
        }
    }
    found
}

#[test]
fn a_cgroup_whose_bundle_is_lost_is_told_of_and_removed() {
    let mut node = Node::start();
    let id = node.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    let (shim, init) = (node.shim("box"), node.container_pid("box"));
    let directories = cgroups(init);
    assert!(!directories.is_empty());
    node.down(&[]);
    kill(shim);
    kill(init);
    std::fs::remove_dir_all(node.root().join("run/bundles/moby").join(&id)).expect("a bundle");
    node.up();
    eventually("the container has ended", Duration::from_secs(10), || {
        let state = node.docker(&["inspect", "-f", "{{.State.Running}}", "box"]).stdout;
        if state.trim() == "false" { Ok(()) } else { Err(state) }
    });
    if directories.iter().any(|directory| directory.exists()) {
        let fsck = node.gantry(&["fsck"]);
        assert!(fsck.code != 0 && fsck.stdout.contains("cgroup"), "{fsck:#?}");
        node.gantry(&["fsck", "--repair"]);
    }
    node.gantry(&["fsck"]).ok();
    for directory in directories {
        assert!(!directory.exists(), "{}", directory.display());
    }
}
