//! The mount namespace of the services.
//!
//! `ip netns exec` runs a command in a mount namespace of its own, with a fresh
//! `/sys` that has no cgroups, and what is mounted there is visible to nobody else. If a
//! user starts Gantry so, it returns to the mounts of the process that ran the
//! command: cgroups are there, and pinned network namespaces outlive the
//! supervisor. The network namespace stays the caller's.
//!
//! If the roots or the programs are not the same in both namespaces, it stays: then the user has chosen these mounts
//! on purpose.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use gantry_daemon::Roots;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Joins the mount namespace of the nearest ancestor that has cgroups, if this process's namespace
/// has none, and if both roots and the folder of this program are the same directories there. Call it before
/// the process has a second thread (setns(2)).
pub fn join_ancestors(roots: &Roots) -> Result<()> {
    if has_cgroups("self") {
        return Ok(());
    }
    let program = std::env::current_exe().context("find this program")?;
    let mut ancestor = parent_of("self");
    while let Some(pid) = ancestor {
        if has_cgroups(&pid) {
            let folder = program.parent().unwrap_or(&program);
            let same = [roots.state.as_path(), &roots.run, folder]
                .iter()
                .all(|path| is_same(&pid, path).unwrap_or(false));
            return if same { join(&pid) } else { Ok(()) };
        }
        ancestor = parent_of(&pid);
    }
    Ok(())
}

fn join(pid: &str) -> Result<()> {
    let path = format!("/proc/{pid}/ns/mnt");
    let namespace = fs::File::open(&path).with_context(|| format!("open {path}"))?;
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Mount))
        .with_context(|| format!("join {path}"))
}

fn has_cgroups(pid: &str) -> bool {
    let mounts = fs::read_to_string(format!("/proc/{pid}/mounts")).unwrap_or_default();
    mounts
        .lines()
        .any(|line| line.split(' ').nth(2).is_some_and(|kind| kind == "cgroup" || kind == "cgroup2"))
}

/// The parent's pid, from proc_pid_stat(5); `None` above the first process.
fn parent_of(pid: &str) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let parent = stat.rsplit(')').next()?.split_whitespace().nth(1)?;
    (parent != "0").then(|| parent.to_owned())
}

/// Whether the nearest ancestor directory of `path` that exists is the same one for the process.
fn is_same(pid: &str, path: &Path) -> Option<bool> {
    let here = path.ancestors().find(|ancestor| ancestor.exists())?;
    let there = PathBuf::from(format!("/proc/{pid}/root")).join(here.strip_prefix("/").ok()?);
    let (here, there) = (fs::metadata(here).ok()?, fs::metadata(there).ok()?);
    Some((here.dev(), here.ino()) == (there.dev(), there.ino()))
}
