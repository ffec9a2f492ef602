//! A fake of the tasks service, whose tasks run no real processes.

mod process;
mod records;
mod state;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gantry_api::Promise;
use gantry_api::tasks::records::{self as api, Container};
use gantry_api::tasks::{
    Cause, Control, CreateTask, Deleted, Exec, ExecProcess, ExitStatus, Inspect, Io, Manage, Metric,
    ProcessInfo, StartFailure, Wait, Whom, server,
};
use gantry_rpc::Code;
use gantry_types::filter::{Fields, FilterSet};
use gantry_types::{ContainerId, ExecId, Namespace, ProcessId, Signal};
use parking_lot::Mutex;
use prost_types::Any;
use tonic::service::Routes;

pub(crate) use self::process::ends;
use self::process::{KILLED, Life, Process, arguments};
use self::state::{Key, State, Task};
use crate::Refused;

/// A fake tasks service. Clones share their state.
///
/// A task is created from its container's record: the OCI specification says what runs. A process runs until the test ends it, unless its [`Program`] says otherwise. Its process id is the test's own,
/// for code that reads `/proc`. The first process has no pid namespace, so it obeys signals as any process does.
#[derive(Debug, Clone, Default)]
pub struct Tasks(Arc<Mutex<State>>);

/// What a program does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Runs until it is ended.
    Runs,
    /// Ends with 0 when its input is closed.
    Reads,
    /// Ends at once with this status.
    Ends(u32),
    /// Takes this long to start, and then runs until it is ended.
    StartsLate(Duration),
    /// Cannot be started.
    Fails(StartFailure),
}

impl Tasks {
    /// The gRPC services of tasks.
    pub fn routes(&self) -> Routes {
        Routes::new(server::service(self.clone())).add_service(api::server::service(self.clone()))
    }

    /// Sets what the program with these arguments, joined by spaces, does from now on.
    pub fn install(&self, arguments: &str, program: Program) {
        self.edit(|state| state.programs.insert(arguments.to_owned(), program));
    }

    /// Ends a process with an exit code.
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn end(&self, namespace: &Namespace, process: &ProcessId, code: u32) {
        self.edit(|state| {
            let task = state.task(namespace, &process.container).expect("a task");
            assert!(task.process(process).expect("a process").runs(), "{process} runs");
            task.end(&process.exec, code);
        });
    }

    /// All processes in all namespaces.
    pub fn processes(&self) -> Vec<ProcessId> {
        let of = |((_, container), task): (&Key, &Task)| -> Vec<ProcessId> {
            let id = |exec: &Option<ExecId>| ProcessId { container: container.clone(), exec: exec.clone() };
            task.processes.keys().map(id).collect()
        };
        self.edit(|state| state.tasks.iter().flat_map(of).collect())
    }

    /// The containers that are recorded in all namespaces, by namespace and id.
    pub fn recorded(&self) -> Vec<Container> {
        self.edit(|state| state.records.values().map(|record| record.container.clone()).collect())
    }

    /// Number of processes that were started.
    pub fn starts(&self) -> usize {
        self.edit(|state| state.starts)
    }

    fn edit<T>(&self, edit: impl FnOnce(&mut State) -> T) -> T {
        edit(&mut self.0.lock())
    }

    fn with_task<T>(
        &self,
        namespace: &Namespace,
        container: &ContainerId,
        work: impl FnOnce(&mut Task) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        self.edit(|state| work(state.task(namespace, container)?))
    }
}

/// A shell's status for a program that could not be started.
fn shell_status(cause: Cause) -> u32 {
    match cause {
        Cause::NotFound => 127,
        Cause::NotPermitted => 126,
        Cause::Other | Cause::NoSuchUser => 255,
    }
}

fn refused<T>(code: Code, object: impl ToString, reason: &'static str) -> Result<T, Refused> {
    Err(Refused::new(code, object, reason))
}

/// The error for an operation that the state does not allow, as in containerd: without a code of its own.
fn wrong_state<T>(object: impl ToString, reason: &'static str) -> Result<T, Refused> {
    refused(Code::Internal, object, reason)
}

impl Promise for Tasks {
    type Error = Refused;
}

impl Inspect for Tasks {
    async fn get(
        &self,
        namespace: &Namespace,
        process: &ProcessId,
    ) -> Result<gantry_api::tasks::Process, Refused> {
        self.with_task(namespace, &process.container, |task| {
            task.process(process)?;
            Ok(task.view(process, &task.processes[&process.exec]))
        })
    }

    async fn list(&self, namespace: &Namespace) -> Result<Vec<gantry_api::tasks::Process>, Refused> {
        Ok(self.edit(|state| {
            let of_namespace = state.tasks.iter().filter(|((of, _), _)| of == namespace);
            of_namespace.map(|((_, id), task)| task.view(&ProcessId::init(id), task.init())).collect()
        }))
    }

    async fn list_pids(
        &self,
        namespace: &Namespace,
        container: &ContainerId,
    ) -> Result<Vec<ProcessInfo>, Refused> {
        self.with_task(namespace, container, |task| {
            let is_there = |exec: &Option<ExecId>, process: &Process| match process.life() {
                Life::Created => exec.is_none(),
                Life::Running => true,
                Life::Stopped(_) | Life::Gone => false,
            };
            let there = task.processes.iter().filter(|(exec, process)| is_there(exec, process));
            Ok(there.map(|_| ProcessInfo { pid: std::process::id(), info: None }).collect())
        })
    }

    async fn metrics(&self, namespace: &Namespace, filters: &FilterSet) -> Result<Vec<Metric>, Refused> {
        let data = Any { type_url: "io.containerd.cgroups.v2.Metrics".to_owned(), value: Vec::new() };
        Ok(self.edit(|state| {
            let of_namespace = state.tasks.iter().filter(|((of, _), _)| of == namespace);
            let live = of_namespace.filter(|(_, task)| !matches!(task.init().life(), Life::Stopped(_)));
            let chosen = live.filter(|((_, id), _)| filters.matches(&ById(id)));
            let metric = |(_, container): &Key| Metric {
                container: container.clone(),
                at: SystemTime::now(),
                data: Some(data.clone()),
            };
            chosen.map(|(key, _)| metric(key)).collect()
        }))
    }
}

/// The fields by which metrics are filtered.
struct ById<'a>(&'a ContainerId);

impl Fields for ById<'_> {
    fn field(&self, path: &[String]) -> Option<std::borrow::Cow<'_, str>> {
        (path == ["id"]).then_some(self.0.as_str().into())
    }
}

impl Wait for Tasks {
    async fn wait(&self, namespace: &Namespace, process: &ProcessId) -> Result<ExitStatus, Refused> {
        let watch = |task: &mut Task| task.process(process).map(|process| process.watch());
        let mut life = self.with_task(namespace, &process.container, watch)?;
        let ended = life.wait_for(|life| matches!(life, Life::Stopped(_) | Life::Gone)).await;
        match ended.as_deref() {
            Ok(Life::Stopped(exit)) => Ok(*exit),
            _ => refused(Code::NotFound, process, "it was removed without having run"),
        }
    }
}

impl Manage for Tasks {
    async fn create(&self, namespace: &Namespace, task: CreateTask) -> Result<u32, Refused> {
        self.edit(|state| {
            let key = (namespace.clone(), task.container.clone());
            let Some(record) = state.records.get(&key) else {
                return refused(Code::NotFound, task.container, "no such container");
            };
            let Some(arguments) = arguments(&record.container.spec.value, "/process/args") else {
                return refused(Code::InvalidArgument, task.container, "its specification has no process");
            };
            if state.tasks.contains_key(&key) {
                return refused(Code::AlreadyExists, task.container, "it has a task");
            }
            let init = Process::new(&arguments, task.stdio);
            state.tasks.insert(key, Task { paused: false, processes: BTreeMap::from([(None, init)]) });
            Ok(std::process::id())
        })
    }

    async fn start(&self, namespace: &Namespace, id: &ProcessId) -> Result<u32, Refused> {
        let program = self.edit(|state| {
            let arguments = state.task(namespace, &id.container)?.process(id)?.arguments.clone();
            Ok::<_, Refused>(state.program(&arguments))
        })?;
        if let Program::StartsLate(delay) = program {
            tokio::time::sleep(delay).await;
        }
        self.edit(|state| {
            let process = state.task(namespace, &id.container)?.process(id)?;
            if process.life() != Life::Created {
                return wrong_state(id, "cannot start a process twice");
            }
            let arguments = process.arguments.clone();
            let program = state.program(&arguments);
            let task = state.task(namespace, &id.container)?;
            match program {
                Program::Fails(failure) => {
                    if id.exec.is_some() {
                        task.end(&id.exec, shell_status(failure.cause));
                    }
                    let words = "the program cannot be run";
                    let refused = Refused::new(Code::Internal, arguments, words);
                    return Err(refused.with_details(failure.details(Code::Internal, words)));
                }
                Program::Ends(code) => {
                    task.process(id)?.run(program);
                    task.end(&id.exec, code);
                }
                Program::Runs | Program::Reads | Program::StartsLate(_) => task.process(id)?.run(program),
            }
            state.starts += 1;
            Ok(std::process::id())
        })
    }

    async fn kill(
        &self,
        namespace: &Namespace,
        id: &ProcessId,
        signal: Signal,
        whom: Whom,
    ) -> Result<(), Refused> {
        self.with_task(namespace, &id.container, |task| {
            match task.process(id)?.life() {
                Life::Stopped(_) | Life::Gone => return refused(Code::NotFound, id, "it has ended"),
                Life::Created if id.exec.is_some() => {
                    return refused(Code::FailedPrecondition, id, "it was never started");
                }
                Life::Created | Life::Running => {}
            }
            if ends(signal) {
                let code = 128 + signal.number();
                if whom == Whom::All && id.exec.is_none() {
                    for process in task.processes.values_mut().filter(|process| process.runs()) {
                        process.end(code);
                    }
                }
                task.end(&id.exec, code);
            }
            Ok(())
        })
    }

    async fn delete(&self, namespace: &Namespace, container: &ContainerId) -> Result<Deleted, Refused> {
        self.edit(|state| {
            let task = state.task(namespace, container)?;
            match task.init().life() {
                Life::Running => return wrong_state(container, "cannot delete a running process"),
                Life::Created => task.end(&None, KILLED),
                Life::Stopped(_) | Life::Gone => {}
            }
            for exec in task.processes.values_mut() {
                exec.remove();
            }
            let Life::Stopped(exit) = task.init().life() else {
                return wrong_state(container, "it has not ended");
            };
            state.tasks.remove(&(namespace.clone(), container.clone()));
            Ok(Deleted { pid: std::process::id(), exit })
        })
    }
}

impl Exec for Tasks {
    async fn exec(&self, namespace: &Namespace, process: ExecProcess) -> Result<(), Refused> {
        self.with_task(namespace, &process.container, |task| {
            let exec = Some(process.exec.clone());
            if task.processes.contains_key(&exec) {
                return refused(Code::AlreadyExists, process.exec, "a process of this id exists");
            }
            if matches!(task.init().life(), Life::Stopped(_)) {
                return refused(Code::FailedPrecondition, &process.container, "it does not run");
            }
            let spec = process.spec.unwrap_or_default();
            let Some(arguments) = arguments(&spec.value, "/args") else {
                return refused(Code::InvalidArgument, process.exec, "a process that runs nothing");
            };
            task.processes.insert(exec, Process::new(&arguments, process.stdio));
            Ok(())
        })
    }

    async fn delete_process(
        &self,
        namespace: &Namespace,
        container: &ContainerId,
        exec: &ExecId,
    ) -> Result<Deleted, Refused> {
        self.with_task(namespace, container, |task| {
            let process = task.process(&ProcessId::exec(container, exec))?;
            let deleted = match process.life() {
                Life::Running => return wrong_state(exec, "cannot delete a running process"),
                Life::Stopped(exit) => Deleted { pid: std::process::id(), exit },
                Life::Created | Life::Gone => Deleted { pid: 0, exit: ExitStatus { code: 0, at: None } },
            };
            process.remove();
            task.processes.remove(&Some(exec.clone()));
            Ok(deleted)
        })
    }
}

impl Io for Tasks {
    async fn resize_pty(
        &self,
        namespace: &Namespace,
        process: &ProcessId,
        _: u32,
        _: u32,
    ) -> Result<(), Refused> {
        self.with_task(namespace, &process.container, |task| task.process(process).map(drop))
    }

    async fn close_io(&self, namespace: &Namespace, process: &ProcessId) -> Result<(), Refused> {
        self.with_task(namespace, &process.container, |task| {
            if task.process(process)?.reads() {
                task.end(&process.exec, 0);
            }
            Ok(())
        })
    }
}

impl Control for Tasks {
    async fn pause(&self, namespace: &Namespace, container: &ContainerId) -> Result<(), Refused> {
        self.with_task(namespace, container, |task| {
            if task.paused || task.init().life() != Life::Running {
                return wrong_state(container, "cannot pause what does not run");
            }
            task.paused = true;
            Ok(())
        })
    }

    async fn resume(&self, namespace: &Namespace, container: &ContainerId) -> Result<(), Refused> {
        self.with_task(namespace, container, |task| match std::mem::take(&mut task.paused) {
            true => Ok(()),
            false => wrong_state(container, "cannot resume what is not paused"),
        })
    }

    async fn update(
        &self,
        namespace: &Namespace,
        container: &ContainerId,
        _: Option<Any>,
        _: HashMap<String, String>,
    ) -> Result<(), Refused> {
        self.with_task(namespace, container, |task| match task.init().life() {
            Life::Stopped(_) => refused(Code::FailedPrecondition, container, "it does not run"),
            _ => Ok(()),
        })
    }
}
