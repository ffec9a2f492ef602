//! One supervisor per root: `<run>/supervisor.lock`, held with flock(2). Inside
//! stand its pid, and the word `ready` once all services have answered.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};

use anyhow::{Context, Result, bail};
use gantry_daemon::Roots;
use rustix::process::Pid;

/// The right to supervise a root; freed with the process.
pub struct Lock(File);

impl Lock {
    /// Takes the lock.
    ///
    /// # Errors
    ///
    /// When another supervisor holds it.
    pub fn take(roots: &Roots) -> Result<Self> {
        fs::create_dir_all(&roots.run).with_context(|| format!("make {}", roots.run.display()))?;
        let mut file = open(roots)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = read(&mut file)
                    .map_or_else(String::new, |pid| format!(" (pid {})", pid.as_raw_nonzero()));
                bail!("Gantry is already up on {}{pid}", roots.run.display());
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).context("lock the supervisor's file");
            }
        }
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "{}", std::process::id())?;
        Ok(Self(file))
    }

    /// Notes that all services have answered.
    pub fn note_ready(&mut self) -> Result<()> {
        write!(self.0, " ready").context("write the supervisor's file")
    }
}

/// Whether the supervisor with this pid has noted that it is ready.
pub fn is_ready(roots: &Roots, pid: u32) -> bool {
    fs::read_to_string(path(roots)).is_ok_and(|text| text == format!("{pid} ready"))
}

/// The supervisor that holds a root, if one does.
pub fn holder(roots: &Roots) -> Option<Pid> {
    let mut file = File::open(path(roots)).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => read(&mut file),
        _ => None,
    }
}

fn path(roots: &Roots) -> std::path::PathBuf {
    roots.run.join("supervisor.lock")
}

fn open(roots: &Roots) -> Result<File> {
    let path = path(roots);
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .with_context(|| format!("open {}", path.display()))
}

fn read(file: &mut File) -> Option<Pid> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    Pid::from_raw(text.split_whitespace().next()?.parse().ok()?)
}
