//! The directories of one container, wherever they are: who is in them, freezing, killing, figures, removal.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::{Error, Result};

/// Where the hierarchies are mounted.
pub const ROOT: &str = "/sys/fs/cgroup";

/// The attribute of a cgroup that names its container's bundle.
const BUNDLE: &str = "trusted.gantry.bundle";

/// The directories of one container.
#[derive(Debug, Clone)]
pub struct Cgroup {
    directories: Vec<PathBuf>,
}

impl Cgroup {
    /// From directories that were recorded earlier.
    pub fn from_directories(directories: Vec<PathBuf>) -> Self {
        Self { directories }
    }

    /// The directories that `pid` is in. A process that sits in a hierarchy's root
    /// has none there.
    pub fn of_process(pid: i32) -> io::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
        Ok(Self::from_directories(parse_membership(&text, is_unified())))
    }

    /// The directories that were made for `pid`: not those that it shares with the calling process,
    /// which it was born in. On v1 that is v2's, mounted beside it: there `pid` may be in the cgroup
    /// of the services and of every shim.
    pub fn made_for(pid: i32) -> io::Result<Self> {
        let own = Self::of_process(std::process::id().cast_signed())?;
        Ok(Self::of_process(pid)?.without(&own))
    }

    fn without(mut self, other: &Self) -> Self {
        self.directories.retain(|directory| !other.directories.contains(directory));
        self
    }

    /// Says on its directories whose they are, for whoever finds them when the bundle is gone. Only helps: where it cannot
    /// be said, nothing else is different.
    pub fn mark(&self, bundle: &Path) {
        use std::os::unix::ffi::OsStrExt;
        for directory in &self.directories {
            let value = bundle.as_os_str().as_bytes();
            let _ = rustix::fs::setxattr(directory, BUNDLE, value, rustix::fs::XattrFlags::empty());
        }
    }

    /// What a spec's `cgroupsPath` stands for, as far as it exists.
    pub fn at(path: &str) -> Self {
        let below = path.trim_start_matches('/');
        let candidates: Vec<PathBuf> = if is_unified() {
            vec![Path::new(ROOT).join(below)]
        } else {
            fs::read_dir(ROOT)
                .map(|entries| entries.flatten().map(|entry| entry.path().join(below)).collect())
                .unwrap_or_default()
        };
        let exists = |directory: &PathBuf| !below.is_empty() && directory.is_dir();
        Self::from_directories(candidates.into_iter().filter(exists).collect())
    }

    /// All its directories.
    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// The directory where `file` exists: on v1 that of the controller that has it.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        self.directories.iter().map(|directory| directory.join(name)).find(|file| file.exists())
    }

    /// The processes in it and in what the container made below it.
    pub fn pids(&self) -> Vec<i32> {
        // Any hierarchy would do; pids and freezer are never shared with others.
        let directory = self
            .controller("pids.current")
            .or_else(|| self.controller("cgroup.freeze"))
            .or_else(|| self.controller("freezer.state"))
            .or(self.directories.first());
        let mut pids = Vec::new();
        if let Some(directory) = directory {
            collect_pids(directory, &mut pids);
        }
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Stops every process; answers when all of them stand still.
    pub fn freeze(&self) -> Result<()> {
        self.set_frozen(true)
    }

    /// Lets them go on.
    pub fn thaw(&self) -> Result<()> {
        self.set_frozen(false)
    }

    fn set_frozen(&self, frozen: bool) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(2);
        let (file, value, events, wanted) = if let Some(file) = self.file("cgroup.freeze") {
            let value = if frozen { "1" } else { "0" };
            let events = file.with_file_name("cgroup.events");
            (file, value, events, format!("frozen {value}"))
        } else if let Some(file) = self.file("freezer.state") {
            let value = if frozen { "FROZEN" } else { "THAWED" };
            (file.clone(), value, file, value.to_string())
        } else {
            return Err(Error::NoFreezer);
        };
        loop {
            // v1 may stick at FREEZING while processes fork: writing again helps.
            fs::write(&file, value).map_err(Error::io("write", &file))?;
            let state = fs::read_to_string(&events).map_err(Error::io("read", &events))?;
            if state.lines().any(|line| line.trim() == wanted) {
                return Ok(());
            }
            if Instant::now() > deadline {
                if frozen {
                    let _ = self.set_frozen(false);
                }
                return Err(Error::Stuck { file, state: value });
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// Has a signal sent to every process in it, by `send`.
    pub fn signal_all(&self, send: impl Fn(Pid)) {
        self.pids().into_iter().filter_map(Pid::from_raw).for_each(send);
    }

    /// Kills every process in it, also frozen ones; does not wait.
    pub fn kill_all(&self) {
        // Linux 5.14, v2 only.
        if let Some(file) = self.file("cgroup.kill")
            && fs::write(&file, "1").is_ok()
        {
            return;
        }
        self.signal_all(|pid| {
            // One that has ended meanwhile is no loss.
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        });
        if self.file("freezer.state").is_some() {
            let _ = self.thaw();
        }
    }

    /// How many processes in it were killed for want of memory.
    pub fn oom_kills(&self) -> u64 {
        ["memory.events", "memory.oom_control"]
            .iter()
            .filter_map(|name| fs::read_to_string(self.file(name)?).ok())
            .find_map(|text| field(&text, "oom_kill"))
            .unwrap_or(0)
    }

    /// Removes its directories and what the container made below them.
    pub fn remove(&self) -> Result<()> {
        let mut failure = None;
        for directory in &self.directories {
            if let Err(error) = remove_tree(directory) {
                failure.get_or_insert(Error::io("remove cgroup", directory)(error));
            }
        }
        failure.map_or(Ok(()), Err)
    }

    fn controller(&self, file: &str) -> Option<&PathBuf> {
        self.directories.iter().find(|directory| directory.join(file).exists())
    }
}

/// Whether the machine has only cgroup v2.
pub fn is_unified() -> bool {
    Path::new(ROOT).join("cgroup.controllers").exists()
}

/// The number behind `name` in a file of `name number` lines.
pub fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(' ')?;
        (key == name).then(|| value.trim().parse().ok())?
    })
}

fn parse_membership(text: &str, unified: bool) -> Vec<PathBuf> {
    let mut directories = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let below = path.trim_start_matches('/');
        if below.is_empty() {
            continue;
        }
        let hierarchy = match controllers {
            "" if unified => PathBuf::from(ROOT),
            "" => Path::new(ROOT).join("unified"),
            named => Path::new(ROOT).join(named.trim_start_matches("name=")),
        };
        directories.push(hierarchy.join(below));
    }
    directories
}

fn collect_pids(directory: &Path, pids: &mut Vec<i32>) {
    if let Ok(text) = fs::read_to_string(directory.join("cgroup.procs")) {
        pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
    }
    for child in children(directory) {
        collect_pids(&child, pids);
    }
}

fn children(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// Removes a cgroup directory; the kernel lets go of dead processes a moment late.
fn remove_tree(directory: &Path) -> io::Result<()> {
    let deadline = Instant::now() + Duration::from_millis(500);
    loop {
        match fs::remove_dir(directory) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => {
                for child in children(directory) {
                    remove_tree(&child)?;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn membership_lines_become_directories() {
        let text = "5:cpu,cpuacct:/moby/a\n2:freezer:/\n1:name=systemd:/moby/a\n0::/x\n";
        assert_eq!(
            parse_membership(text, false),
            [
                "/sys/fs/cgroup/cpu,cpuacct/moby/a",
                "/sys/fs/cgroup/systemd/moby/a",
                "/sys/fs/cgroup/unified/x"
            ]
            .map(PathBuf::from)
        );
        assert_eq!(parse_membership("0::/x\n", true), [PathBuf::from("/sys/fs/cgroup/x")]);
    }

    #[test]
    fn a_cgroup_that_the_container_was_born_in_is_not_its_own() {
        let directories = |text| Cgroup::from_directories(parse_membership(text, false));
        let services = directories("4:memory:/system.slice/tasks\n0::/system.slice/tasks\n");
        let container = directories("4:memory:/gantry/a\n0::/system.slice/tasks\n");
        let own = container.without(&services);
        assert_eq!(own.directories(), [PathBuf::from("/sys/fs/cgroup/memory/gantry/a")]);
    }

    #[test]
    fn fields_are_found_by_name() {
        assert_eq!(field("oom 3\noom_kill 2\n", "oom_kill"), Some(2));
        assert_eq!(field("oom 3\n", "oom_kill"), None);
    }
}
