//! The state of the fake tasks service.

use std::collections::BTreeMap;

use gantry_api::tasks::records::Record;
use gantry_api::tasks::{self as api, Status};
use gantry_rpc::Code;
use gantry_types::{ContainerId, ExecId, Namespace, ProcessId};

use super::Program;
use super::process::{KILLED, Life, Process};
use crate::Refused;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) records: BTreeMap<Key, Record>,
    pub(super) tasks: BTreeMap<Key, Task>,
    pub(super) programs: BTreeMap<String, Program>,
    pub(super) starts: usize,
}

pub(super) type Key = (Namespace, ContainerId);

#[derive(Debug)]
pub(super) struct Task {
    pub(super) paused: bool,
    /// The first process has no id.
    pub(super) processes: BTreeMap<Option<ExecId>, Process>,
}

impl State {
    pub(super) fn task(
        &mut self,
        namespace: &Namespace,
        container: &ContainerId,
    ) -> Result<&mut Task, Refused> {
        let missing = || Refused::new(Code::NotFound, container, "no such task");
        self.tasks.get_mut(&(namespace.clone(), container.clone())).ok_or_else(missing)
    }

    pub(super) fn program(&self, arguments: &str) -> Program {
        self.programs.get(arguments).copied().unwrap_or(Program::Runs)
    }
}

impl Task {
    pub(super) fn process(&mut self, id: &ProcessId) -> Result<&mut Process, Refused> {
        let missing = || Refused::new(Code::NotFound, id, "no such process");
        self.processes.get_mut(&id.exec).ok_or_else(missing)
    }

    pub(super) fn init(&self) -> &Process {
        &self.processes[&None]
    }

    /// Ends a process; if it is the first one, ends all processes.
    pub(super) fn end(&mut self, exec: &Option<ExecId>, code: u32) {
        if exec.is_none() {
            self.paused = false;
            for (_, exec) in self.processes.iter_mut().filter(|(id, exec)| id.is_some() && exec.runs()) {
                exec.end(KILLED);
            }
        }
        if let Some(process) = self.processes.get_mut(exec) {
            process.end(code);
        }
    }

    pub(super) fn view(&self, id: &ProcessId, process: &Process) -> api::Process {
        let life = process.life();
        let status = match life {
            Life::Created | Life::Gone => Status::Created,
            Life::Running if self.paused && id.exec.is_none() => Status::Paused,
            Life::Running => Status::Running,
            Life::Stopped(exit) => Status::Stopped(exit),
        };
        let started = id.exec.is_none() || life != Life::Created;
        let pid = if started { std::process::id() } else { 0 };
        api::Process { id: id.clone(), pid, status, stdio: process.stdio.clone() }
    }
}
