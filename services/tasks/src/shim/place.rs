//! The cgroup of shims on a machine with systemd: a scope of their own. `systemctl stop` and `systemctl kill` of this
//! service's unit then reach no container, with any options.
//!
//! The scope begins with the first shim and ends with the last. This service moves the start helper into the scope
//! before the helper starts the shim: the helper waits for the end of its input, and the shim is born in the helper's
//! cgroup.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use gantry_systemd::{Error, Systemd, Value};

/// The name of the scope; all Gantries of a machine share it.
const UNIT: &str = "gantry-shims.scope";
/// How long the service tries again when the scope is about to begin or to end.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// Moves the process that will start a shim into the scope. Blocks.
pub fn settle(pid: u32) -> Result<(), Error> {
    if !gantry_systemd::is_running() {
        return Ok(());
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        match settle_once(pid) {
            // The scope began, or ended, at the same moment.
            Err(error) if is_between(&error) && Instant::now() < deadline => std::thread::sleep(PAUSE),
            result => return result,
        }
    }
}

/// Whether the scope was neither there nor away: several shims that start at once, as after a boot, all look for it.
fn is_between(error: &Error) -> bool {
    error.is_unit_exists() || error.is_no_such_unit() || error.is_unit_inactive()
}

fn settle_once(pid: u32) -> Result<(), Error> {
    // systemd has delegated the cgroup (Delegate=): a write to it is enough, and spares a call.
    if let Some(group) = group()
        && fs::write(group.join("cgroup.procs"), pid.to_string()).is_ok()
    {
        return Ok(());
    }
    let mut systemd = Systemd::connect()?;
    match systemd.attach(UNIT, &[pid]) {
        Err(error) if error.is_no_such_unit() => {}
        result => return result,
    }
    let properties = [
        ("Description", Value::Text("Gantry: shims, each of which holds a container".to_owned())),
        ("PIDs", Value::Pids(vec![pid])),
        ("Delegate", Value::Bool(true)),
        // As for containers, which end only with the machine.
        ("DefaultDependencies", Value::Bool(false)),
        ("CollectMode", Value::Text("inactive-or-failed".to_owned())),
        ("TasksMax", Value::Number(u64::MAX)),
    ];
    systemd.start_scope(UNIT, &properties)
}

/// The cgroup of the scope, if the scope has exactly one.
fn group() -> Option<PathBuf> {
    let group = PathBuf::from("/sys/fs/cgroup/system.slice").join(UNIT);
    let there: io::Result<bool> = group.join("cgroup.events").try_exists();
    there.is_ok_and(|there| there).then_some(group)
}
