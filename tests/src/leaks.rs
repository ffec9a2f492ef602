//! What a Gantry could leave behind on the machine.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Everything of a node that outlives its services: mounts under its root,
/// cgroups of its containers, processes that have its root in their command line.
pub fn of(root: &Path, containers: &BTreeSet<String>) -> Vec<String> {
    let root = root.to_string_lossy();
    let mut found = Vec::new();
    let mounts = fs::read_to_string("/proc/self/mounts").expect("/proc is mounted");
    found.extend(mounts.lines().filter(|line| line.contains(&*root)).map(|line| format!("mount {line}")));
    for entry in fs::read_dir("/proc").expect("/proc is mounted").flatten() {
        let Ok(line) = fs::read(entry.path().join("cmdline")) else { continue };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(&*root) {
            found.push(format!("process {} {line}", entry.file_name().to_string_lossy()));
        }
    }
    for controller in fs::read_dir("/sys/fs/cgroup").expect("cgroups are mounted").flatten() {
        for container in containers {
            let folder = controller.path().join("docker").join(container);
            if folder.exists() {
                found.push(format!("cgroup {}", folder.display()));
            }
        }
    }
    found
}
