//! The cgroup directories of one container: processes, freezing, killing, counters, removal.

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

/// How long processes may take until they stand still, or go on.
const STANDSTILL: Duration = Duration::from_secs(2);
/// How long processes that are to be killed may take until they stand still, and how long those that do not are chased.
const CHASE: Duration = Duration::from_millis(500);

/// The directories of one container.
#[derive(Debug, Clone)]
pub struct Cgroup {
    directories: Vec<PathBuf>,
}

impl Cgroup {
    /// The cgroup with these directories, which were recorded earlier.
    pub fn from_directories(directories: Vec<PathBuf>) -> Self {
        Self { directories }
    }

    /// The directories of the process `pid`. A process in the root of a hierarchy has no directory there.
    pub fn of_process(pid: i32) -> io::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
        Ok(Self::from_directories(parse_membership(&text, is_unified())))
    }

    /// The directories that were made for `pid`: leaves out those that it shares with the calling process, in which
    /// it was born. On v1 the shared one is that of v2, mounted beside it: `pid` may there be in the cgroup of the
    /// services and of every shim.
    pub fn made_for(pid: i32) -> io::Result<Self> {
        let own = Self::of_process(std::process::id().cast_signed())?;
        Ok(Self::of_process(pid)?.without(&own))
    }

    fn without(mut self, other: &Self) -> Self {
        self.directories.retain(|directory| !other.directories.contains(directory));
        self
    }

    /// Writes the path of the bundle on the directories, for fsck to find when the bundle is gone. A failure has no
    /// other effect.
    pub fn mark(&self, bundle: &Path) {
        use std::os::unix::ffi::OsStrExt;
        for directory in &self.directories {
            let value = bundle.as_os_str().as_bytes();
            let _ = rustix::fs::setxattr(directory, BUNDLE, value, rustix::fs::XattrFlags::empty());
        }
    }

    /// The existing directories of a spec's `cgroupsPath`.
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

    /// The directories.
    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// The directory with the file `name`: on v1 that of its controller.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        self.directories.iter().map(|directory| directory.join(name)).find(|file| file.exists())
    }

    /// The processes in the cgroup and in those that the container has made below it.
    pub fn pids(&self) -> Vec<i32> {
        // Any hierarchy would do; those of pids and freezer are never shared with other cgroups.
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

    /// Freezes every process. Returns when all are frozen.
    pub fn freeze(&self) -> Result<()> {
        self.set_frozen(true, STANDSTILL)
    }

    /// Thaws every process.
    pub fn thaw(&self) -> Result<()> {
        self.set_frozen(false, STANDSTILL)
    }

    fn set_frozen(&self, frozen: bool, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
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
            // v1 may stay at FREEZING while processes fork; writing again helps.
            fs::write(&file, value).map_err(Error::io("write", &file))?;
            let state = fs::read_to_string(&events).map_err(Error::io("read", &events))?;
            if state.lines().any(|line| line.trim() == wanted) {
                return Ok(());
            }
            if Instant::now() > deadline {
                if frozen {
                    let _ = self.thaw();
                }
                return Err(Error::Stuck { file, state: value });
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// Calls `send` for every process.
    pub fn signal_all(&self, send: impl Fn(Pid)) {
        self.pids().into_iter().filter_map(Pid::from_raw).for_each(send);
    }

    /// Kills every process, frozen ones too, and those that they make meanwhile. Does not wait for their end.
    pub fn kill_all(&self) {
        // Linux 5.14, v2 only.
        if let Some(file) = self.file("cgroup.kill")
            && fs::write(&file, "1").is_ok()
        {
            return;
        }
        // A frozen process makes no further processes. Processes that cannot be frozen, without a freezer or while
        // they wait in the kernel, are searched for until no new ones are found.
        let stands = self.set_frozen(true, CHASE).is_ok();
        let deadline = Instant::now() + CHASE;
        let mut known = Vec::new();
        loop {
            let pids = self.pids();
            for pid in pids.iter().copied().filter_map(Pid::from_raw) {
                // One that has ended meanwhile is no loss.
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
            let new = pids.iter().any(|pid| known.binary_search(pid).is_err());
            if stands || !new || Instant::now() > deadline {
                break;
            }
            known = pids;
        }
        if self.file("freezer.state").is_some() {
            let _ = self.thaw();
        }
    }

    /// How many processes the kernel has killed for want of memory.
    pub fn oom_kills(&self) -> u64 {
        ["memory.events", "memory.oom_control"]
            .iter()
            .filter_map(|name| fs::read_to_string(self.file(name)?).ok())
            .find_map(|text| field(&text, "oom_kill"))
            .unwrap_or(0)
    }

    /// Removes the directories, with those that the container has made below.
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

/// Whether the host has only cgroup v2.
pub fn is_unified() -> bool {
    Path::new(ROOT).join("cgroup.controllers").exists()
}

/// The number of `name` in a file of `name number` lines.
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

/// Removes a cgroup directory. The kernel frees a dead process a moment after its end.
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

    mod root_kills {
        use std::process::{Command, Stdio};
        use std::sync::Arc;
        use std::sync::atomic::{AtomicBool, Ordering};
        use std::thread::JoinHandle;

        use rustix::process::{WaitOptions, set_child_subreaper, wait};

        use super::*;

        /// A cgroup of the test's own, in every hierarchy in which processes can be frozen or killed.
        struct Own(Cgroup);

        impl Own {
            fn make() -> Self {
                let name = format!("gantry-cgroup-{}", std::process::id());
                let roots =
                    if is_unified() { vec![ROOT.into()] } else { vec![Path::new(ROOT).join("freezer")] };
                let directories: Vec<PathBuf> =
                    roots.into_iter().map(|root: PathBuf| root.join(&name)).collect();
                for directory in &directories {
                    fs::create_dir(directory).unwrap();
                }
                Own(Cgroup::from_directories(directories))
            }

            /// Starts a shell whose script begins when it is inside. [`Reaper`] waits for it.
            fn start(&self, script: &str) {
                let enter = self.0.directories().iter();
                let enter =
                    enter.map(|directory| format!("echo $$ > {}/cgroup.procs; ", directory.display()));
                let script = enter.collect::<String>() + script;
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(script).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                drop(shell.spawn().unwrap());
            }

            fn is_joined_within(&self, patience: Duration) -> bool {
                let deadline = Instant::now() + patience;
                while self.0.pids().is_empty() && Instant::now() < deadline {
                    std::thread::sleep(Duration::from_millis(1));
                }
                !self.0.pids().is_empty()
            }

            fn is_empty_within(&self, patience: Duration) -> bool {
                let deadline = Instant::now() + patience;
                while !self.0.pids().is_empty() && Instant::now() < deadline {
                    std::thread::sleep(Duration::from_millis(5));
                }
                self.0.pids().is_empty()
            }
        }

        impl Drop for Own {
            fn drop(&mut self) {
                for _ in 0..1000 {
                    self.0.kill_all();
                    if self.0.remove().is_ok() {
                        break;
                    }
                }
            }
        }

        /// Waits for every child of this process, and for their children once they are orphans. Where process 1
        /// does not, as in some virtual machines, what the test makes would fill the table of processes.
        struct Reaper {
            thread: Option<JoinHandle<()>>,
            over: Arc<AtomicBool>,
        }

        impl Reaper {
            fn start() -> Self {
                set_child_subreaper(Some(rustix::process::getpid())).unwrap();
                let over = Arc::new(AtomicBool::new(false));
                let ended = Arc::clone(&over);
                let thread = std::thread::spawn(move || {
                    while !ended.load(Ordering::Relaxed) {
                        if !matches!(wait(WaitOptions::NOHANG), Ok(Some(_))) {
                            std::thread::sleep(Duration::from_micros(200));
                        }
                    }
                    while wait(WaitOptions::NOHANG).is_ok_and(|reaped| reaped.is_some()) {}
                });
                Reaper { thread: Some(thread), over }
            }
        }

        impl Drop for Reaper {
            fn drop(&mut self) {
                self.over.store(true, Ordering::Relaxed);
                let _ = self.thread.take().map(JoinHandle::join);
            }
        }

        #[test]
        fn what_makes_itself_anew_all_the_time_is_ended() {
            let _reaper = Reaper::start();
            let own = Own::make();
            // Each of them lives for no longer than it takes to make the next one.
            own.start("r() { r & }; for n in $(seq 20); do r & done");
            assert!(own.is_joined_within(Duration::from_secs(10)), "it does not begin");
            assert!(!own.is_empty_within(Duration::from_millis(50)), "it goes on");
            own.0.kill_all();
            assert!(own.is_empty_within(Duration::from_secs(5)), "left: {:?}", own.0.pids());
        }
    }

    #[test]
    fn fields_are_found_by_name() {
        assert_eq!(field("oom 3\noom_kill 2\n", "oom_kill"), Some(2));
        assert_eq!(field("oom 3\n", "oom_kill"), None);
    }
}
