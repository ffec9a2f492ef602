//! `delete`: cleans up after a dead shim. Kills the container's processes, removes its cgroup and the runtime's
//! state, and prints how the container ended. Idempotent.
//!
//! (The root needs no clean-up: it was mounted in the shim's own mount namespace, which ended with the shim.)

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use gantry_cgroup::Cgroup;
use gantry_proto::containerd::task::v3::DeleteResponse;
use prost::Message;
use prost_types::Timestamp;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::Flags;
use crate::error::{Error, Result};
use crate::exit::{self, ExitRecord, InitRecord};
use crate::runtime::Choice;

/// The exit status of a container that was killed.
const KILLED: u32 = 128 + Signal::KILL.as_raw().cast_unsigned();
/// How long killed processes may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Removes what the container of a dead shim left. Returns the answer for stdout.
pub fn delete(flags: &Flags) -> Result<Vec<u8>> {
    let bundle = match &flags.bundle {
        Some(bundle) => bundle.clone(),
        None => std::env::current_dir().map_err(Error::io("find", "bundle"))?,
    };
    let init: Option<InitRecord> = exit::read(&bundle.join("init.json"));
    let recorded = init.as_ref().map(|init| init.cgroups.clone()).unwrap_or_default();
    let named = crate::runtime::spec::cgroups_path(&bundle).map(|path| Cgroup::at(&path));
    let mut directories = recorded;
    directories.extend(named.iter().flat_map(|cgroup| cgroup.directories().to_vec()));
    directories.sort();
    directories.dedup();
    let cgroup = Cgroup::from_directories(directories);
    let oom = cgroup.oom_kills() > 0;

    let deadline = Instant::now() + PATIENCE;
    loop {
        cgroup.kill_all();
        if let Some(init) = &init {
            kill_init(init);
        }
        if cgroup.pids().is_empty() || Instant::now() > deadline {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    foreign_delete(&bundle, &flags.id);
    let removed = cgroup.remove();
    Choice::read(&bundle).remove_state(&bundle, &flags.id)?;
    remove_socket(&bundle);
    removed?;

    let ended = exit::read(&exit::init_path(&bundle)).unwrap_or_else(|| {
        let exit = crate::reaper::Exit { status: KILLED, at: SystemTime::now() };
        let ended = ExitRecord::new(init.map_or(0, |init| init.pid), exit, oom);
        // A failure loses nothing: the answer below has the same exit.
        let _ = exit::write(&exit::init_path(&bundle), &ended);
        ended
    });
    Ok(DeleteResponse {
        pid: ended.pid.cast_unsigned(),
        exit_status: ended.exit_status,
        exited_at: Some(Timestamp::from(ended.at())),
    }
    .encode_to_vec())
}

/// Kills the init, unless its pid belongs to another process by now.
fn kill_init(init: &InitRecord) {
    let Some(pid) = Pid::from_raw(init.pid) else {
        return;
    };
    // The pidfd is opened first: it still refers to the same process while the start time is compared.
    if let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty())
        && exit::start_time(init.pid) == Some(init.start_time)
    {
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
    }
}

/// Runs the runtime's own `delete`: only the runtime can remove its state.
fn foreign_delete(bundle: &Path, id: &str) {
    let choice = Choice::read(bundle);
    if let Some(binary) = &choice.binary {
        let root = choice.state(bundle);
        let _ = std::process::Command::new(binary)
            .arg("--root")
            .arg(root)
            .args(["delete", "--force", id])
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status();
    }
}

/// Removes the dead shim's socket, unless the shim of another container listens on it.
fn remove_socket(bundle: &Path) {
    if let Ok(address) = std::fs::read_to_string(bundle.join("address")) {
        let path = Path::new(address.trim_start_matches("unix://"));
        if std::os::unix::net::UnixStream::connect(path).is_err() {
            let _ = std::fs::remove_file(path);
        }
    }
}
