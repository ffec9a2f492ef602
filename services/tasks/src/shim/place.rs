//! Where shims live on a machine with systemd: in a scope of their own, so that neither `systemctl stop` nor
//! `systemctl kill` of this service's unit, whatever their options, concerns a container.
//!
//! The scope begins with the first shim, and ends with the last. A shim is put there before it is one: its start
//! helper waits for the end of its input, and what it starts is born where it is.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use gantry_systemd::{Error, Systemd, Value};

/// The scope; one for all Gantries of a machine.
const UNIT: &str = "gantry-shims.scope";
/// How often the scope may go away while it is entered.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(20);

/// Moves a process that becomes a shim into the scope. Blocks.
pub fn settle(pid: u32) -> Result<(), Error> {
    if !gantry_systemd::is_running() {
        return Ok(());
    }
    let mut attempt = 0;
    loop {
        attempt += 1;
        match settle_once(pid) {
            // It came, or went, at the same moment.
            Err(error) if attempt < ATTEMPTS && (error.is_unit_exists() || error.is_no_such_unit()) => {
                std::thread::sleep(PAUSE);
            }
            result => return result,
        }
    }
}

fn settle_once(pid: u32) -> Result<(), Error> {
    // systemd has given the group away (Delegate=): a write is enough, and spares asking.
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
        // As containers', which end with the machine.
        ("DefaultDependencies", Value::Bool(false)),
        ("CollectMode", Value::Text("inactive-or-failed".to_owned())),
        ("TasksMax", Value::Number(u64::MAX)),
    ];
    systemd.start_scope(UNIT, &properties)
}

/// The scope's only cgroup, where it has only one.
fn group() -> Option<PathBuf> {
    let group = PathBuf::from("/sys/fs/cgroup/system.slice").join(UNIT);
    let there: io::Result<bool> = group.join("cgroup.events").try_exists();
    there.is_ok_and(|there| there).then_some(group)
}
