//! Exits on disk. The shim writes an exit before it reports the exit, so that the daemon finds it also after the
//! shim's death.
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

/// The init process, for `delete` after the shim's death.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InitRecord {
    pub pid: i32,
    /// Field 22 of `/proc/<pid>/stat`: tells a process from an earlier one of the same pid.
    pub start_time: u64,
    /// The directory of the container in every cgroup hierarchy.
    pub cgroups: Vec<PathBuf>,
}

/// How a process ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExitRecord {
    pub pid: i32,
    pub exit_status: u32,
    /// Nanoseconds since the epoch.
    pub exited_at: u64,
    /// The kernel killed a process of the container for want of memory.
    #[serde(default)]
    pub oom: bool,
}

impl ExitRecord {
    /// The record of the exit of `pid`.
    pub fn new(pid: i32, exit: Exit, oom: bool) -> Self {
        let since = exit.at.duration_since(SystemTime::UNIX_EPOCH);
        Self { pid, exit_status: exit.status, exited_at: since.unwrap_or_default().as_nanos() as u64, oom }
    }

    /// The time of the exit.
    pub fn at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.exited_at)
    }
}

/// The path of the record of the init's exit.
pub fn init_path(bundle: &Path) -> PathBuf {
    bundle.join("exit.json")
}

/// Writes `record` atomically to a file that only root can read: environments hold secrets.
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

/// Creates an empty file that only root can read.
pub fn private(path: &Path) -> std::io::Result<File> {
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Reads a record; `None` when it is missing or unreadable.
pub fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// The start time of `pid` in clock ticks since boot; `None` without such a process.
pub fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command name may contain spaces and parentheses: the fields follow the last parenthesis.
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
