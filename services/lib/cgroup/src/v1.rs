//! A container's cgroup on v1: made in every hierarchy, joined, given limits.
//!
//! A process joins by `tasks`, not by `cgroup.procs`. When a thread moves itself by writing 0 there, the kernel does
//! not take the lock over all thread groups, which waits for an RCU grace period (`cgroup_procs_write_start` in
//! kernel/cgroup/cgroup.c). That takes 0.1 ms instead of 5 to 20. So only a process with one thread may use this.
//!
//! Directories are held by descriptor: a process that no longer sees the hierarchies can still use a group that it
//! has made.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::{fs, io};

use rustix::fs::{CWD, Mode, OFlags};

use crate::ROOT;

/// A directory in one hierarchy.
#[derive(Debug)]
pub struct Membership {
    /// The hierarchy's name below the root: `cpu`, `cpu,cpuacct`, `systemd`.
    pub hierarchy: String,
    /// The directory, opened with `O_PATH`.
    pub directory: OwnedFd,
}

/// A container's directories, one in each hierarchy.
#[derive(Debug)]
pub struct Group {
    /// Sorted by the names of the hierarchies.
    pub memberships: Vec<Membership>,
}

impl Group {
    /// Makes the missing directories of `path`, which is absolute.
    pub fn make(path: &str) -> io::Result<Self> {
        let below = path.trim_start_matches('/');
        let mut memberships = Vec::new();
        for hierarchy in hierarchies()? {
            let root = Path::new(ROOT).join(&hierarchy);
            let mut directory = root.clone();
            for component in below.split('/').filter(|name| !name.is_empty()) {
                if matches!(component, "." | "..") {
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("cgroup path {path}")));
                }
                let parent = directory.clone();
                directory.push(component);
                match fs::create_dir(&directory) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                    _ => inherit_cpuset(&parent, &directory)?,
                }
            }
            memberships.push(Membership { hierarchy, directory: open(&directory)? });
        }
        Ok(Self { memberships })
    }

    /// The present group of the calling process, to go back to.
    pub fn current() -> io::Result<Self> {
        let mut memberships = Vec::new();
        let text = fs::read_to_string("/proc/self/cgroup")?;
        for (hierarchy, path) in text.lines().filter_map(membership) {
            let directory = Path::new(ROOT).join(&hierarchy).join(path.trim_start_matches('/'));
            // A hierarchy may be mounted elsewhere or not at all.
            if directory.join("tasks").exists() {
                memberships.push(Membership { hierarchy, directory: open(&directory)? });
            }
        }
        Ok(Self { memberships })
    }

    /// Moves the calling process, which has one thread, to this group.
    pub fn join(&self) -> io::Result<()> {
        self.memberships.iter().try_for_each(|membership| write_at(&membership.directory, "tasks", "0"))
    }

    /// The first directory with `file`: that of its controller.
    pub fn with(&self, file: &str) -> Option<&OwnedFd> {
        let exists = |directory: &OwnedFd| {
            rustix::fs::accessat(directory, file, rustix::fs::Access::EXISTS, rustix::fs::AtFlags::empty())
                .is_ok()
        };
        self.memberships.iter().map(|membership| &membership.directory).find(|directory| exists(directory))
    }
}

/// Moves the calling process, which has one thread, to a v1 or v2 cgroup.
pub fn join_directory(directory: &Path) -> io::Result<()> {
    match write_existing(&directory.join("tasks"), "0") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write_existing(&directory.join("cgroup.procs"), "0")
        }
        result => result,
    }
}

/// Writes `value` to a file of a cgroup in one write(2), as the kernel requires.
pub(crate) fn write_at(directory: &OwnedFd, file: &str, value: &str) -> io::Result<()> {
    let opened = rustix::fs::openat(directory, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    fs::File::from(opened).write_all(value.as_bytes())
}

/// Reads a file of a cgroup.
pub(crate) fn read_at(directory: &OwnedFd, file: &str) -> io::Result<String> {
    let opened = rustix::fs::openat(directory, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    io::read_to_string(fs::File::from(opened))
}

fn write_existing(path: &Path, value: &str) -> io::Result<()> {
    fs::OpenOptions::new().write(true).open(path)?.write_all(value.as_bytes())
}

fn open(directory: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, directory, flags, Mode::empty())?)
}

/// The names of the v1 hierarchies: real directories with `tasks`, because `cpu` may be a link to `cpu,cpuacct`.
fn hierarchies() -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(ROOT)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && entry.path().join("tasks").exists() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Parses a line of `/proc/<pid>/cgroup`; `None` for v2's.
fn membership(line: &str) -> Option<(String, &str)> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, path) = (parts.next()?, parts.next()?);
    (!controllers.is_empty()).then(|| (controllers.trim_start_matches("name=").to_string(), path))
}

/// A new cpuset has no processors, and accepts no process before it gets some.
fn inherit_cpuset(parent: &Path, child: &Path) -> io::Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        match fs::read_to_string(child.join(file)) {
            Ok(own) if own.trim().is_empty() => {
                write_existing(&child.join(file), fs::read_to_string(parent.join(file))?.trim())?;
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memberships_are_read_from_their_lines() {
        assert_eq!(membership("4:memory:/a/b"), Some(("memory".into(), "/a/b")));
        assert_eq!(membership("9:name=systemd:/"), Some(("systemd".into(), "/")));
        assert_eq!(membership("0::/a"), None);
    }

    #[test]
    fn a_path_that_leaves_the_hierarchy_is_refused() {
        if !crate::is_unified() {
            assert!(Group::make("/../etc").is_err());
        }
    }
}
