//! The events of a container for the daemon: each step once, an exit after its start and before the removal.

use gantry_cgroup::Cgroup;
use gantry_proto::containerd::events::{
    TaskCreate, TaskDelete, TaskExecAdded, TaskExecStarted, TaskExit, TaskIo, TaskOom, TaskPaused,
    TaskResumed, TaskStart,
};
use gantry_proto::containerd::types::Mount;

use super::Container;
use crate::oom::Oom;
use crate::process::Process;
use crate::reaper::Exit;

impl Container {
    pub(super) fn tell_created(&self, rootfs: Vec<Mount>) {
        self.tools.events.publish("/tasks/create", || {
            let wanted = self.init.wanted.clone();
            TaskCreate {
                container_id: self.id.clone(),
                bundle: self.bundle.to_string_lossy().into_owned(),
                rootfs,
                io: Some(TaskIo {
                    stdin: wanted.stdin,
                    stdout: wanted.stdout,
                    stderr: wanted.stderr,
                    terminal: wanted.terminal,
                }),
                checkpoint: String::new(),
                pid: self.init.phase().pid().cast_unsigned(),
            }
        });
    }

    pub(super) fn tell_started(&self, process: &Process, pid: i32) {
        let (container_id, pid) = (self.id.clone(), pid.cast_unsigned());
        if process.id.is_empty() {
            self.tools.events.publish("/tasks/start", || TaskStart { container_id, pid });
        } else {
            let exec_id = process.id.clone();
            let event = || TaskExecStarted { container_id, exec_id, pid };
            self.tools.events.publish("/tasks/exec-started", event);
        }
    }

    pub(super) fn tell_exec_added(&self, exec: &str) {
        let event = || TaskExecAdded { container_id: self.id.clone(), exec_id: exec.to_owned() };
        self.tools.events.publish("/tasks/exec-added", event);
    }

    pub(super) fn tell_exited(&self, process: &Process, exit: Exit) {
        if !process.claim_exit() {
            return;
        }
        self.tools.events.publish("/tasks/exit", || TaskExit {
            container_id: self.id.clone(),
            id: if process.id.is_empty() { self.id.clone() } else { process.id.clone() },
            pid: process.phase().pid().cast_unsigned(),
            exit_status: exit.status,
            exited_at: Some(exit.at.into()),
        });
    }

    pub(super) fn tell_deleted(&self, exit: Exit) {
        self.tools.events.publish("/tasks/delete", || TaskDelete {
            container_id: self.id.clone(),
            pid: self.init.phase().pid().cast_unsigned(),
            exit_status: exit.status,
            exited_at: Some(exit.at.into()),
            id: String::new(),
        });
    }

    pub(super) fn tell_paused(&self) {
        self.tools.events.publish("/tasks/paused", || TaskPaused { container_id: self.id.clone() });
    }

    pub(super) fn tell_resumed(&self) {
        self.tools.events.publish("/tasks/resumed", || TaskResumed { container_id: self.id.clone() });
    }

    /// Counts the kills for want of memory, and publishes each, until the cgroup is gone.
    pub(super) fn watch_memory(&self, cgroup: &Cgroup) -> Oom {
        let (events, id) = (self.tools.events.clone(), self.id.clone());
        let tell = move || events.publish_oom("/tasks/oom", &TaskOom { container_id: id.clone() });
        let (oom, begun) = Oom::watch(cgroup, tell);
        if let Err(error) = begun {
            eprintln!("want of memory in {} goes unnoticed: {error}", self.id);
        }
        oom
    }
}
