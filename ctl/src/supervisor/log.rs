//! A process's output: `NAME.log`, and `NAME.log.1` with what is older.
//!
//! A service writes its log itself, because it may outlive its supervisor, and cannot get another file while it runs. So the supervisor
//! copies the file to the old one and empties it. It does the end of the copy and the emptying while the service is
//! stopped (SIGSTOP), for the time of a few system calls, so that no line is lost between them.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use gantry_daemon::Roots;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// A log of this size, in bytes, becomes the old one.
const LIMIT: u64 = 10 << 20;
/// How many bytes to read of a process's last output.
const WORDS: u64 = 64 << 10;
/// The log's mode: its owner and the owner's group may read it.
const MODE: u32 = 0o640;
/// How long a process may take to stop, as when it waits for a disk.
const STOP: Duration = Duration::from_secs(1);

/// A log.
#[derive(Debug, Clone)]
pub struct Log(PathBuf);

impl Log {
    /// The log of a service, or of the supervisor.
    pub fn of(roots: &Roots, name: &str) -> Self {
        Self(roots.state.join("log").join(format!("{name}.log")))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Opens it for a process that is about to start.
    pub fn open(&self) -> Result<File> {
        let open = || {
            fs::create_dir_all(self.0.parent().expect("it is in a folder"))?;
            if self.is_full() {
                fs::rename(&self.0, self.beside("1"))?;
            }
            // Logs contain facts about users' containers, so they are for the operator. A log of an earlier version becomes private, too.
            let log = OpenOptions::new().create(true).append(true).mode(MODE).open(&self.0)?;
            log.set_permissions(Permissions::from_mode(MODE))?;
            Ok::<_, io::Error>(log)
        };
        open().with_context(|| format!("open {}", self.0.display()))
    }

    /// Its length.
    pub fn length(&self) -> u64 {
        fs::metadata(&self.0).map_or(0, |metadata| metadata.len())
    }

    /// The output since the log had a length; only the last part, if it is long.
    pub fn since(&self, length: u64) -> String {
        let read = || {
            let mut log = File::open(&self.0)?;
            let end = log.metadata()?.len();
            // The supervisor may have moved the log away meanwhile.
            let start = if length <= end { length } else { 0 };
            log.seek(SeekFrom::Start(start.max(end.saturating_sub(WORDS))))?;
            let mut text = Vec::new();
            log.take(WORDS).read_to_end(&mut text)?;
            Ok::<_, io::Error>(String::from_utf8_lossy(&text).into_owned())
        };
        read().unwrap_or_default()
    }

    /// Whether it is large enough to move away.
    pub fn is_full(&self) -> bool {
        fs::metadata(&self.0).is_ok_and(|metadata| metadata.len() >= LIMIT)
    }

    /// Moves its contents away while the child, which is not reaped meanwhile, continues to write. After a crash,
    /// lines may be in both files.
    pub fn move_away(&self, writer: Pid) -> Result<()> {
        let copy = self.beside("new");
        let moved = self.copy_and_empty(&copy, writer);
        if moved.is_err() {
            // There may be no old log.
            let _ = fs::remove_file(&copy);
        }
        moved.with_context(|| format!("move away {}", self.0.display()))
    }

    fn copy_and_empty(&self, copy: &Path, writer: Pid) -> Result<()> {
        let mut log = OpenOptions::new().read(true).write(true).open(&self.0)?;
        let mut old = OpenOptions::new().create(true).write(true).truncate(true).mode(MODE).open(copy)?;
        let length = log.metadata()?.len();
        io::copy(&mut (&mut log).take(length), &mut old)?;
        let _stopped = Stopped::stop(writer)?;
        io::copy(&mut log, &mut old)?;
        fs::rename(copy, self.beside("1"))?;
        log.set_len(0)?;
        Ok(())
    }

    fn beside(&self, extension: &str) -> PathBuf {
        self.0.with_added_extension(extension)
    }
}

/// Keeps a child stopped as long as this lives.
struct Stopped(Pid);

impl Stopped {
    fn stop(child: Pid) -> Result<Self> {
        let stopped = Self(child);
        kill_process(child, Signal::STOP).context("stop its writer")?;
        let deadline = Instant::now() + STOP;
        // A child that has ended writes no more, either.
        let options =
            WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        while waitid(WaitId::Pid(child), options).context("await its writer's stop")?.is_none() {
            if Instant::now() > deadline {
                bail!("its writer does not stop");
            }
            std::thread::sleep(Duration::from_micros(50));
        }
        Ok(stopped)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // It has ended instead.
        let _ = kill_process(self.0, Signal::CONT);
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn numbers(path: &Path) -> Vec<u64> {
        let text = fs::read_to_string(path).expect("a log");
        text.lines().map(|line| line.parse().expect("a whole line")).collect()
    }

    #[test]
    fn no_line_is_lost_while_a_log_is_moved_away() {
        let state = std::env::temp_dir().join(format!("gantry-log-{}", std::process::id()));
        let log = Log::of(&Roots { run: state.join("run"), state: state.clone() }, "busy");
        // Services write whole lines.
        let program = "i=0; while :; do i=$((i+1)); echo $i; done";
        let mut writer = Command::new("sh")
            .args(["-c", program])
            .stdout(log.open().expect("opened"))
            .stdin(Stdio::null())
            .spawn()
            .expect("a shell");
        let mut whole = Vec::new();
        for _ in 0..20 {
            while fs::metadata(log.path()).expect("it is there").len() < 1000 {
                std::thread::sleep(Duration::from_millis(1));
            }
            log.move_away(Pid::from_child(&writer)).expect("moved");
            whole.extend(numbers(&log.beside("1")));
        }
        writer.kill().expect("it runs");
        writer.wait().expect("it ends");
        whole.extend(numbers(log.path()));
        assert!(whole.iter().copied().eq(1..=whole.len() as u64), "{} lines", whole.len());
        fs::remove_dir_all(state).expect("removed");
    }

    #[test]
    fn logs_are_for_the_operator() {
        let state = std::env::temp_dir().join(format!("gantry-private-log-{}", std::process::id()));
        let log = Log::of(&Roots { run: state.join("run"), state: state.clone() }, "private");
        fs::create_dir_all(log.path().parent().expect("a folder")).expect("made");
        fs::write(log.path(), "by an earlier version").expect("written");
        fs::set_permissions(log.path(), Permissions::from_mode(0o644)).expect("ours");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        let file = log.open().expect("opened");
        assert_eq!(mode(log.path()), MODE);
        file.set_len(LIMIT).expect("grown");
        log.open().expect("opened");
        assert_eq!([mode(log.path()), mode(&log.beside("1"))], [MODE; 2]);
        fs::remove_dir_all(state).expect("removed");
    }

    #[test]
    fn a_full_log_is_the_old_one_of_who_is_started_next() {
        let state = std::env::temp_dir().join(format!("gantry-full-log-{}", std::process::id()));
        let log = Log::of(&Roots { run: state.join("run"), state: state.clone() }, "full");
        let file = log.open().expect("opened");
        assert!(!log.is_full());
        file.set_len(LIMIT).expect("grown");
        assert_eq!(log.open().expect("opened").metadata().expect("known").len(), 0);
        assert_eq!(fs::metadata(log.beside("1")).expect("the old one").len(), LIMIT);
        fs::remove_dir_all(state).expect("removed");
    }
}
