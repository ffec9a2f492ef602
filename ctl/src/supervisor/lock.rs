//! One supervisor per root: `<run>/supervisor.lock`, a record lock of fcntl(2). The kernel tells who holds it, whatever the
//! file says, and asking takes no lock that could keep a supervisor from starting. The file has the pid, and
//! the word `ready` once all services have answered.

use std::fs::{self, File, OpenOptions};
use std::io::Write;

use anyhow::{Context, Result, bail};
use gantry_daemon::Roots;
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType, Pid, fcntl_getlk};

/// The right to supervise a root. The process loses it when it ends or closes the file, whichever descriptor it closes.
pub struct Lock(File);

impl Lock {
    /// Takes the lock.
    ///
    /// # Errors
    ///
    /// Another supervisor holds it.
    pub fn take(roots: &Roots) -> Result<Self> {
        fs::create_dir_all(&roots.run).with_context(|| format!("make {}", roots.run.display()))?;
        let mut file = open(roots)?;
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::AGAIN | Errno::ACCESS) => {
                let pid = holder_of(&file).map_or_else(String::new, |pid| format!(" (pid {pid})"));
                bail!("Gantry is already up on {}{pid}", roots.run.display());
            }
            Err(error) => return Err(error).context("lock the supervisor's file"),
        }
        file.set_len(0)?;
        write!(file, "{}", std::process::id())?;
        Ok(Self(file))
    }

    /// Writes down that all services have answered.
    pub fn note_ready(&mut self) -> Result<()> {
        write!(self.0, " ready").context("write the supervisor's file")
    }
}

/// Whether the supervisor with this pid has written that it is ready.
pub fn is_ready(roots: &Roots, pid: u32) -> bool {
    fs::read_to_string(path(roots)).is_ok_and(|text| text == format!("{pid} ready"))
}

/// The supervisor of a root, if there is one.
pub fn holder(roots: &Roots) -> Option<Pid> {
    holder_of(&File::open(path(roots)).ok()?)
}

fn holder_of(file: &File) -> Option<Pid> {
    fcntl_getlk(file, &Flock::from(FlockType::WriteLock)).ok()??.pid
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
