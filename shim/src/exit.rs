//! Exit statuses on disk: written before anyone is told, so that the status of a
//! container that ended is known also when the shim and everything else died.
//!
//! ```text
//! <bundle>/init.json          the init process while it lives
//! <bundle>/exit.json          how the init process ended
//! ```

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::reaper::Exit;

/// The init process, to be found again after a dead shim.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InitRecord {
    pub pid: i32,
    /// Field 22 of `/proc/<pid>/stat`: tells a reused pid from the old one.
    pub start_time: u64,
    /// The container's directories in every cgroup hierarchy.
    pub cgroups: Vec<PathBuf>,
}

/// How a process ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExitRecord {
    pub pid: i32,
    pub exit_status: u32,
    /// Nanoseconds since the epoch.
    pub exited_at: u64,
    /// A process of the container was killed for want of memory.
    #[serde(default)]
    pub oom: bool,
}

impl ExitRecord {
    /// Describes the end of `pid`.
    pub fn new(pid: i32, exit: Exit, oom: bool) -> Self {
        let since = exit.at.duration_since(SystemTime::UNIX_EPOCH);
        Self { pid, exit_status: exit.status, exited_at: since.unwrap_or_default().as_nanos() as u64, oom }
    }

    /// The moment of the end.
    pub fn at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.exited_at)
    }
}

/// Where the init's exit is recorded.
pub fn init_path(bundle: &Path) -> PathBuf {
    bundle.join("exit.json")
}

/// Writes `record` so that it is there whole or not at all. For root only: environments hold secrets.
pub fn write<T: Serialize>(path: &Path, record: &T) -> Result<()> {
    let temporary = path.with_extension("new");
    let bytes = serde_json::to_vec(record).expect("plain records always serialize");
    private(&temporary)
        .and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_data()
        })
        .map_err(Error::io("write", &temporary))?;
    std::fs::rename(&temporary, path).map_err(Error::io("rename", path))
}

/// Makes a file that only root can read, empty.
pub fn private(path: &Path) -> std::io::Result<File> {
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Reads a record; none when it is missing or unreadable.
pub fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// When `pid` was started, in clock ticks since boot; none if there is no such process.
pub fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command name may hold spaces and parentheses: count from the last one.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_start_time_is_known_and_stable() {
        let pid = std::process::id().cast_signed();
        assert!(start_time(pid).is_some());
        assert_eq!(start_time(pid), start_time(pid));
        assert_eq!(start_time(i32::MAX), None);
    }
}
