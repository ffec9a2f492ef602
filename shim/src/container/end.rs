//! The end of a container, and the clean-up after it.

use std::path::Path;
use std::time::Duration;

use gantry_cgroup::Cgroup;
use gantry_failpoint::failpoint;

use super::{Container, report};
use crate::error::{Error, Result};
use crate::exit::{self, ExitRecord};
use crate::mounts;
use crate::process::Phase;
use crate::reaper::Exit;
use crate::signal::Signal;

/// How long the end of a container waits until its output is delivered.
const DRAIN: Duration = Duration::from_secs(10);

impl Container {
    /// Removes a container that has ended or was not started. Returns the pid and the exit.
    pub async fn delete(&self) -> Result<(i32, Exit)> {
        let mut turn = self.turn.lock().await;
        match self.init.phase() {
            Phase::Running { .. } => {
                return Err(Error::WrongState { verb: "delete", state: "running" });
            }
            Phase::Created { .. } => {
                turn.waiting = None;
                let _ = self.init.signal(Signal::KILL);
            }
            Phase::Added | Phase::Stopped { .. } => {}
        }
        let exit = self.init.wait().await;
        if let Some(helper) = turn.waiting.take() {
            helper.finish().await;
        }
        self.tell_exited(&self.init, exit);
        self.init.stdio.drained(DRAIN).await;
        self.init.stdio.shut();
        self.clean(true).await;
        failpoint!("shim.delete.cleaned", infallible);
        self.tell_deleted(exit);
        Ok((self.init.phase().pid(), exit))
    }

    /// Removes what the container has on the host. Runs every step, also after a failure.
    pub(super) async fn clean(&self, created: bool) {
        if let Some(attach) = self.attach.get() {
            attach.abort();
        }
        let made = self.made.get();
        if let Some(made) = made {
            made.oom.end();
            made.cgroup.kill_all();
        }
        if made.is_some_and(|made| made.created.delete_by_runtime) {
            let bundle = self.bundle.to_string_lossy();
            report(self.ask("delete", &[&bundle, &self.id]).await);
        }
        match made {
            Some(made) => report(made.cgroup.remove().map_err(Error::from)),
            // A runtime that failed may have left the cgroup.
            None if !created => remove_strays(&self.bundle),
            None => {}
        }
        report(self.choice.remove_state(&self.bundle, &self.id));
        mounts::unmount_root(&self.bundle.join("rootfs"));
    }

    pub(super) fn init_ended(&self, exit: Exit) {
        let mut oom = false;
        if let Some(made) = self.made.get() {
            if !made.created.private_pids {
                made.cgroup.kill_all();
            }
            oom = made.oom.count() > 0;
        }
        failpoint!("shim.exit.seen", infallible);
        let record = ExitRecord::new(self.init.phase().pid(), exit, oom);
        report(exit::write(&exit::init_path(&self.bundle), &record));
        failpoint!("shim.exit.noted", infallible);
        self.init.ended(exit);
    }

    /// Whether the kernel killed a process of the container for want of memory.
    pub fn oom_killed(&self) -> bool {
        match exit::read::<ExitRecord>(&exit::init_path(&self.bundle)) {
            Some(record) => record.oom,
            None => self.made.get().is_some_and(|made| made.oom.count() > 0),
        }
    }
}

/// Removes the cgroup that a bundle's spec names, with the processes in it.
fn remove_strays(bundle: &Path) {
    if let Ok(path) = crate::runtime::spec::cgroups_path(bundle) {
        let cgroup = Cgroup::at(&path);
        cgroup.kill_all();
        report(cgroup.remove().map_err(Error::from));
    }
}
