//! Execs of a container: added, started, removed.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gantry_failpoint::failpoint;

use super::{Container, ExecEntry};
use crate::control::Reply;
use crate::error::{Error, Result};
use crate::exit;
use crate::process::{Phase, Process};
use crate::reaper::Exit;
use crate::runtime::Exec;
use crate::signal::Signal;
use crate::stdio::{Owner, Stdio, Wanted};

/// How long the end of an exec waits for its output, which child processes may keep open.
const DRAIN: Duration = Duration::from_secs(2);

impl Container {
    /// Adds an exec. From now on clients can attach to it.
    pub async fn add_exec(&self, id: &str, wanted: Wanted, description: &[u8]) -> Result<()> {
        if !matches!(self.init.phase(), Phase::Created { .. } | Phase::Running { .. }) {
            return Err(Error::NotRunning(self.id.clone()));
        }
        if self.execs().contains_key(id) {
            return Err(self.exec_exists(id));
        }
        let mut process: oci_spec::runtime::Process = serde_json::from_slice(description)
            .map_err(|error| Error::InvalidArgument(format!("process of exec {id}: {error}")))?;
        process.set_terminal(Some(wanted.terminal));
        let made = self.made()?;
        let exec = Exec {
            process,
            user: None,
            groups: made.created.groups.clone(),
            init: self.init.phase().pid(),
            init_start: made.init_start,
            cgroups: made.cgroup.directories().to_vec(),
        };
        let directory = self.bundle.join("execs");
        std::fs::create_dir_all(&directory).map_err(Error::io("create", &directory))?;
        let path = directory.join(format!("{id}.json"));
        exit::write(&path, &exec)?;
        let stdio = Stdio::new(&wanted)?;
        let entry =
            ExecEntry { process: Arc::new(Process::new(id.to_string(), wanted, stdio)), planned: Some(path) };
        match self.execs().entry(id.to_string()) {
            std::collections::hash_map::Entry::Occupied(_) => Err(self.exec_exists(id)),
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(entry);
                self.tell_exec_added(id);
                Ok(())
            }
        }
    }

    /// Starts an exec that was added. Returns the pid.
    pub async fn start_exec(self: &Arc<Self>, id: &str) -> Result<i32> {
        let (process, planned) = {
            let mut execs = self.execs();
            let entry = execs.get_mut(id).ok_or_else(|| self.no_exec(id))?;
            (entry.process.clone(), entry.planned.take())
        };
        let Some(description) = planned else {
            return Err(Error::WrongState { verb: "start", state: process.phase().name() });
        };
        let done = self.run_exec(&process, &description).await;
        let _ = std::fs::remove_file(&description);
        if let Err(error) = &done {
            process.failed(Exit { status: error.cause().status(), at: SystemTime::now() });
            process.stdio.shut();
        }
        done
    }

    async fn run_exec(self: &Arc<Self>, process: &Arc<Process>, description: &Path) -> Result<i32> {
        if !matches!(self.init.phase(), Phase::Running { .. }) {
            return Err(Error::NotRunning(self.id.clone()));
        }
        if self.turn.lock().await.paused {
            return Err(Error::WrongState { verb: "exec in", state: "paused" });
        }
        let owner = Owner { namespace: &self.tools.namespace, container: &self.id };
        let child = process.stdio.open(owner).await?;
        process.stdio.feed()?;
        let (bundle, path) = (self.bundle.to_string_lossy(), description.to_string_lossy());
        let size = process.stdio.size().map(|(columns, rows)| format!("{columns}x{rows}"));
        let arguments: [&str; 3] = [&bundle, &self.id, &path];
        let arguments: Vec<&str> = arguments.into_iter().chain(size.as_deref()).collect();
        let mut helper = self.tools.helpers.start("exec", &arguments, child)?;
        let reply = helper.reply().await;
        helper.finish().await;
        let (Reply::Started { pid }, console) = reply? else {
            return Err(Error::Runtime("the runtime helper started nothing".into()));
        };
        failpoint!("shim.exec.started", infallible);
        let ended = self.tools.reaper.watch(pid);
        process.exists(pid);
        if let Err(error) = process.stdio.connect(console) {
            // No client gets the process's id, so the process must not continue.
            let _ = process.signal(Signal::KILL);
            return Err(error);
        }
        self.tell_started(process, pid);
        process.runs();
        let (process, container) = (process.clone(), self.clone());
        tokio::spawn(async move {
            if let Ok(exit) = ended.await {
                process.ended(exit);
                container.tell_exited(&process, exit);
            }
        });
        Ok(pid)
    }

    /// Removes an exec that has ended or was not started. Returns the pid and the exit.
    pub async fn delete_exec(&self, id: &str) -> Result<(i32, Exit)> {
        let process = self.process(id)?;
        let outcome = match process.phase() {
            Phase::Running { .. } | Phase::Created { .. } => {
                return Err(Error::WrongState { verb: "delete", state: "running" });
            }
            Phase::Stopped { pid, exit } => {
                process.stdio.drained(DRAIN).await;
                (pid, exit)
            }
            Phase::Added => {
                // For clients that wait for the exec.
                let never = never_run();
                process.ended(never);
                (0, never)
            }
        };
        process.stdio.shut();
        self.execs().remove(id);
        let _ = std::fs::remove_file(self.bundle.join("execs").join(format!("{id}.json")));
        Ok(outcome)
    }

    pub(super) fn no_exec(&self, exec: &str) -> Error {
        Error::NoExec { container: self.id.clone(), exec: exec.to_string() }
    }

    fn exec_exists(&self, exec: &str) -> Error {
        Error::ExecExists { container: self.id.clone(), exec: exec.to_string() }
    }
}

fn never_run() -> Exit {
    Exit { status: 0, at: SystemTime::now() }
}
