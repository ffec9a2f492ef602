//! The calling process: what it has used, and what it inherits.

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{Error, Result};

/// Processor time, user and system, that all threads of the calling process have used (getrusage(2)).
pub fn own_processor_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("getrusage fails only for a bad address");
    let time =
        |value: TimeVal| Duration::from_micros(u64::try_from(value.num_microseconds()).unwrap_or_default());
    time(usage.user_time()) + time(usage.system_time())
}

/// Lets the calling process have as many files open as it may, instead of the few that every process begins with:
/// setrlimit(2). What is started from it inherits that.
pub fn raise_open_files() -> Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return Ok(());
    }
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .map_err(|e| Error::os("raise the limit of open files of", "self", e))
}

/// Sees to it that modes given to the kernel are taken as they are. Concerns the whole process: once, at its start.
pub fn clear_umask() {
    rustix::process::umask(rustix::fs::Mode::empty());
}
