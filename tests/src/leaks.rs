//! What a Gantry may leave behind on the host.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

const CGROUPS: &str = "/sys/fs/cgroup";

/// Everything of a node that has outlived its services: mounts below its directories, processes whose command lines
/// name the directories, cgroups of its containers.
pub fn of(folders: &[&Path], containers: &BTreeSet<String>) -> Vec<String> {
    let mut found: Vec<_> = mounts(folders).iter().map(|line| format!("mount {line}")).collect();
    found.extend(processes(folders).iter().map(|(pid, line)| format!("process {pid} {line}")));
    found.extend(cgroups(containers));
    found
}

/// What a running node keeps for its containers, to be compared later: mounts, shims, cgroups, and the entries in its
/// directories.
pub fn kept(folders: &[&Path], containers: &BTreeSet<String>) -> BTreeSet<String> {
    let target = |line: &String| format!("mount {}", line.split(' ').nth(1).unwrap_or_default());
    let mut found: BTreeSet<_> = mounts(folders).iter().map(target).collect();
    let shims = processes(folders).into_iter().filter(|(_, line)| line.contains("containerd-shim"));
    found.extend(shims.map(|(pid, _)| format!("shim {pid}")));
    found.extend(cgroups(containers));
    for folder in folders {
        for (below, depth) in KEPT {
            found.extend(entries(&folder.join(below), *depth).map(|path| format!("file {}", path.display())));
        }
    }
    found
}

/// Directories with an entry for each container, volume or snapshot, and how many levels below.
const KEPT: &[(&str, u32)] = &[
    ("run/s", 0),
    ("run/bundles", 1),
    ("state/engine/containers", 0),
    ("state/engine/volumes", 0),
    ("state/snapshots", 2),
];

fn entries(folder: &Path, depth: u32) -> Box<dyn Iterator<Item = PathBuf>> {
    let paths = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    match depth {
        0 => Box::new(paths),
        _ => Box::new(paths.flat_map(move |path| entries(&path, depth - 1))),
    }
}

fn cgroups(containers: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    // v2 has one hierarchy, v1 a directory for each.
    let hierarchies = fs::read_dir(CGROUPS).expect("cgroups are mounted").flatten().map(|entry| entry.path());
    for hierarchy in hierarchies.chain([PathBuf::from(CGROUPS)]) {
        for container in containers {
            let folder = hierarchy.join("docker").join(container);
            if folder.exists() {
                found.push(format!("cgroup {}", folder.display()));
            }
        }
    }
    found
}

/// Ends what is left of a failed node: it must not disturb the next test.
pub fn end(folders: &[&Path]) {
    for _ in 0..50 {
        let mut doomed: BTreeSet<i32> = processes(folders).into_keys().collect();
        if doomed.is_empty() {
            break;
        }
        // A container's first process is its shim's child.
        let parents = parents();
        while let Some((pid, _)) =
            parents.iter().find(|&(pid, parent)| doomed.contains(parent) && !doomed.contains(pid))
        {
            doomed.insert(*pid);
        }
        for pid in doomed.into_iter().filter_map(Pid::from_raw) {
            // The process may have ended with another one.
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    // The latest mount is on top.
    for line in mounts(folders).iter().rev() {
        let target = line.split(' ').nth(1).unwrap_or_default();
        let _ = Command::new("umount").args(["-l", target]).status();
    }
}

/// The lines of proc_pid_mounts(5) for mounts below the directories.
fn mounts(folders: &[&Path]) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("/proc is mounted");
    let below = |line: &&str| folders.iter().any(|folder| line.contains(&format!(" {}/", folder.display())));
    mounts.lines().filter(below).map(str::to_owned).collect()
}

/// The processes whose command line names one of the directories.
fn processes(folders: &[&Path]) -> BTreeMap<i32, String> {
    let named = pids().filter_map(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        folders.iter().any(|folder| line.contains(&*folder.to_string_lossy())).then_some((pid, line))
    });
    named.collect()
}

/// The parent of each process, from proc_pid_stat(5).
fn parents() -> BTreeMap<i32, i32> {
    let related = pids().filter_map(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let parent = stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()?;
        Some((pid, parent))
    });
    related.collect()
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").expect("/proc is mounted").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}
