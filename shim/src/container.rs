//! One container of the shim: its init, its execs, its cgroup and its root.
//!
//! ```text
//! <bundle>/config.json       the spec; user, HOME and cgroup path are settled in it
//! <bundle>/rootfs            the root, mounted in the shim's namespace only
//! <bundle>/runtime.json      which runtime made it
//! <bundle>/runtime/          the runtime's state
//! <bundle>/attach.sock       for clients of its output and input
//! <bundle>/init.json, exit.json, execs/    see `exit`
//! ```

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use gantry_proto::containerd::types::Mount;
use rustix::process::Signal;
use tokio::task::AbortHandle;

use crate::cgroup::Cgroup;
use crate::control::{Created, Order, Reply};
use crate::error::{Error, Result};
use crate::exit::{self, ExitRecord, InitRecord};
use crate::helper::{ChildStdio, Helper, Helpers};
use crate::mounts;
use crate::process::{Phase, Process};
use crate::reaper::{Exit, Reaper};
use crate::runtime::{Choice, Exec, state_root};
use crate::stdio::attach::{self, Processes};
use crate::stdio::{Owner, Stdio, Wanted};

/// How long the end of a container waits for its output to be taken.
const DRAIN: Duration = Duration::from_secs(10);
/// As [`DRAIN`], for an exec, whose children may go on with its stdio.
const DRAIN_EXEC: Duration = Duration::from_secs(2);

/// What containers need of the shim.
#[derive(Clone)]
pub struct Tools {
    pub namespace: String,
    pub helpers: Helpers,
    pub reaper: Reaper,
}

/// What a client asks for.
pub struct Request {
    pub id: String,
    pub bundle: PathBuf,
    pub rootfs: Vec<Mount>,
    pub wanted: Wanted,
    pub choice: Choice,
}

/// One container.
pub struct Container {
    pub id: String,
    pub bundle: PathBuf,
    tools: Tools,
    init: Arc<Process>,
    made: OnceLock<Made>,
    /// One change of state at a time: start, pause, exec's start, delete.
    turn: tokio::sync::Mutex<Turn>,
    // Guards the map; never held across an await.
    execs: Mutex<HashMap<String, ExecEntry>>,
    attach: OnceLock<AbortHandle>,
}

struct Made {
    created: Created,
    cgroup: Cgroup,
}

struct Turn {
    /// The helper that waits to start the program.
    waiting: Option<Helper>,
    paused: bool,
}

struct ExecEntry {
    process: Arc<Process>,
    /// What its start needs; taken by it.
    planned: Option<(ChildStdio, PathBuf)>,
}

impl Container {
    /// Makes a container up to its start. What a failure left is cleaned up.
    pub async fn create(tools: Tools, request: Request) -> Result<Arc<Self>> {
        let bundle = request.bundle;
        let root = bundle.join("rootfs");
        let choice = serde_json::to_vec(&request.choice).expect("plain records always serialize");
        let path = Choice::path(&bundle);
        std::fs::write(&path, choice).map_err(Error::io("write", path))?;
        mounts::mount_root(&request.rootfs, &root)?;
        let owner = Owner {
            namespace: &tools.namespace,
            container: &request.id,
        };
        let (stdio, child) = match Stdio::open(&request.wanted, owner).await {
            Ok(open) => open,
            Err(error) => {
                mounts::unmount_root(&root);
                return Err(error);
            }
        };
        let container = Arc::new(Self {
            init: Arc::new(Process::new(String::new(), request.wanted, stdio)),
            id: request.id,
            bundle,
            tools,
            made: OnceLock::new(),
            turn: tokio::sync::Mutex::new(Turn {
                waiting: None,
                paused: false,
            }),
            execs: Mutex::default(),
            attach: OnceLock::new(),
        });
        match container.make(child).await {
            Ok(()) => Ok(container),
            Err(error) => {
                container.init.stdio.shut();
                container.clean(false).await;
                Err(error)
            }
        }
    }

    async fn make(self: &Arc<Self>, child: ChildStdio) -> Result<()> {
        let bundle = self.bundle.to_string_lossy();
        let mut helper = self.tools.helpers.start("create", &[&bundle, &self.id], child)?;
        let (reply, console) = helper.reply().await?;
        let Reply::Created(created) = reply else {
            return Err(Error::Runtime(format!("the runtime helper said {reply:?}")));
        };
        let pid = created.pid;
        let ended = self.tools.reaper.watch(pid);
        self.init.exists(pid);
        let record = InitRecord {
            pid,
            start_time: exit::start_time(pid).unwrap_or_default(),
            cgroups: created.cgroups.clone(),
        };
        let console_size = created.console_size;
        let cgroup = Cgroup::from_directories(created.cgroups.clone());
        let _ = self.made.set(Made { created, cgroup });
        exit::write(&self.bundle.join("init.json"), &record)?;
        self.init.stdio.connect(console)?;
        if let Some((columns, rows)) = console_size {
            self.init.stdio.resize(columns, rows)?;
        }
        let listener = attach::bind(&self.bundle)?;
        let serving = tokio::spawn(attach::serve(listener, self.clone()));
        let _ = self.attach.set(serving.abort_handle());
        self.turn.lock().await.waiting = Some(helper);
        let container = Arc::downgrade(self);
        tokio::spawn(async move {
            if let (Ok(exit), Some(container)) = (ended.await, container.upgrade()) {
                container.init_ended(exit);
            }
        });
        Ok(())
    }

    /// The init process.
    pub fn init(&self) -> &Arc<Process> {
        &self.init
    }

    /// A process by its exec id; "" is the init.
    pub fn process(&self, exec: &str) -> Result<Arc<Process>> {
        if exec.is_empty() {
            return Ok(self.init.clone());
        }
        let execs = self.execs();
        let entry = execs.get(exec).ok_or_else(|| self.no_exec(exec))?;
        Ok(entry.process.clone())
    }

    /// All execs' ids.
    pub fn exec_ids(&self) -> Vec<String> {
        self.execs().keys().cloned().collect()
    }

    /// Its cgroup.
    pub fn cgroup(&self) -> Result<&Cgroup> {
        self.made.get().map(|made| &made.cgroup).ok_or_else(|| Error::NotRunning(self.id.clone()))
    }

    /// Runs the init's program.
    pub async fn start(&self) -> Result<i32> {
        let mut turn = self.turn.lock().await;
        let phase = self.init.phase();
        let Some(mut helper) = turn.waiting.take() else {
            return Err(Error::WrongState {
                verb: "start",
                state: phase.name(),
            });
        };
        helper.order(&Order::Start)?;
        let reply = helper.reply().await;
        helper.finish().await;
        reply?;
        self.init.runs();
        Ok(phase.pid())
    }

    /// Announces an exec: its stdio can be attached to from now on.
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
        let exec = Exec {
            process,
            user: None,
            init: self.init.phase().pid(),
            cgroups: self.cgroup()?.directories().to_vec(),
        };
        let directory = self.bundle.join("execs");
        std::fs::create_dir_all(&directory).map_err(Error::io("create", &directory))?;
        let path = directory.join(format!("{id}.json"));
        exit::write(&path, &exec)?;
        let owner = Owner {
            namespace: &self.tools.namespace,
            container: &self.id,
        };
        let (stdio, child) = Stdio::open(&wanted, owner).await?;
        let entry = ExecEntry {
            process: Arc::new(Process::new(id.to_string(), wanted, stdio)),
            planned: Some((child, path)),
        };
        match self.execs().entry(id.to_string()) {
            std::collections::hash_map::Entry::Occupied(_) => Err(self.exec_exists(id)),
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(entry);
                Ok(())
            }
        }
    }

    /// Runs an announced exec.
    pub async fn start_exec(self: &Arc<Self>, id: &str) -> Result<i32> {
        let (process, planned) = {
            let mut execs = self.execs();
            let entry = execs.get_mut(id).ok_or_else(|| self.no_exec(id))?;
            (entry.process.clone(), entry.planned.take())
        };
        let Some((child, description)) = planned else {
            return Err(Error::WrongState {
                verb: "start",
                state: process.phase().name(),
            });
        };
        let done = self.run_exec(&process, child, &description).await;
        let _ = std::fs::remove_file(&description);
        if let Err(error) = &done {
            let exit = Exit {
                status: failed_status(&error.to_string()),
                at: SystemTime::now(),
            };
            let record = ExitRecord::new(0, exit, false);
            let _ = exit::write(&exit::exec_path(&self.bundle, id), &record);
            process.ended(exit);
            process.stdio.shut();
        }
        done
    }

    async fn run_exec(
        self: &Arc<Self>,
        process: &Arc<Process>,
        child: ChildStdio,
        description: &Path,
    ) -> Result<i32> {
        if !matches!(self.init.phase(), Phase::Running { .. }) {
            return Err(Error::NotRunning(self.id.clone()));
        }
        if self.turn.lock().await.paused {
            return Err(Error::WrongState {
                verb: "exec in",
                state: "paused",
            });
        }
        let (bundle, path) = (self.bundle.to_string_lossy(), description.to_string_lossy());
        let mut helper = self.tools.helpers.start("exec", &[&bundle, &self.id, &path], child)?;
        let reply = helper.reply().await;
        helper.finish().await;
        let (Reply::Started { pid }, console) = reply? else {
            return Err(Error::Runtime("the runtime helper started nothing".into()));
        };
        let ended = self.tools.reaper.watch(pid);
        process.exists(pid);
        process.stdio.connect(console)?;
        process.runs();
        let (bundle, process) = (self.bundle.clone(), process.clone());
        tokio::spawn(async move {
            if let Ok(exit) = ended.await {
                let path = exit::exec_path(&bundle, &process.id);
                report(exit::write(&path, &ExitRecord::new(pid, exit, false)));
                process.ended(exit);
            }
        });
        Ok(pid)
    }

    /// Sends a signal to a process, or to all of the container.
    pub fn kill(&self, exec: &str, signal: Signal, all: bool) -> Result<()> {
        let process = self.process(exec)?;
        if all && exec.is_empty() {
            let cgroup = self.cgroup()?;
            if cgroup.pids().is_empty() {
                return Err(Error::AlreadyFinished);
            }
            cgroup.signal_all(signal);
        } else {
            process.signal(signal)?;
        }
        if signal == Signal::KILL {
            // With cgroup v1 a frozen process does not even die.
            let cgroup = self.cgroup()?.clone();
            if let Ok(mut turn) = self.turn.try_lock()
                && turn.paused
            {
                turn.paused = false;
                cgroup.thaw()?;
            }
        }
        Ok(())
    }

    /// Freezes all processes.
    pub async fn pause(&self) -> Result<()> {
        let mut turn = self.turn.lock().await;
        let phase = self.init.phase();
        if !matches!(phase, Phase::Running { .. }) || turn.paused {
            return Err(Error::WrongState {
                verb: "pause",
                state: if turn.paused { "paused" } else { phase.name() },
            });
        }
        self.cgroup()?.freeze()?;
        turn.paused = true;
        Ok(())
    }

    /// Lets frozen processes go on.
    pub async fn resume(&self) -> Result<()> {
        let mut turn = self.turn.lock().await;
        if !turn.paused {
            return Err(Error::WrongState {
                verb: "resume",
                state: self.init.phase().name(),
            });
        }
        self.cgroup()?.thaw()?;
        turn.paused = false;
        Ok(())
    }

    /// Whether it is frozen.
    pub async fn is_paused(&self) -> bool {
        matches!(self.init.phase(), Phase::Running { .. }) && self.turn.lock().await.paused
    }

    /// Applies new limits, given as an OCI runtime spec's resources.
    pub async fn update(&self, resources: &[u8]) -> Result<()> {
        if !matches!(self.init.phase(), Phase::Created { .. } | Phase::Running { .. }) {
            return Err(Error::NotRunning(self.id.clone()));
        }
        let _turn = self.turn.lock().await;
        let path = self.bundle.join("update.json");
        std::fs::write(&path, resources).map_err(Error::io("write", &path))?;
        let (bundle, file) = (self.bundle.to_string_lossy(), path.to_string_lossy());
        let done = self.ask("update", &[&bundle, &self.id, &file]).await;
        let _ = std::fs::remove_file(&path);
        done
    }

    /// Removes an exec that has ended or was never started; how it ended.
    pub async fn delete_exec(&self, id: &str) -> Result<(i32, Exit)> {
        let process = self.process(id)?;
        let outcome = match process.phase() {
            Phase::Running { .. } | Phase::Created { .. } => {
                return Err(Error::WrongState {
                    verb: "delete",
                    state: "running",
                });
            }
            Phase::Stopped { pid, exit } => {
                process.stdio.drained(DRAIN_EXEC).await;
                (pid, exit)
            }
            Phase::Added => (0, never_run()),
        };
        process.stdio.shut();
        self.execs().remove(id);
        let _ = std::fs::remove_file(self.bundle.join("execs").join(format!("{id}.json")));
        Ok(outcome)
    }

    /// Removes a container that has ended or was never started; how it ended.
    pub async fn delete(&self) -> Result<(i32, Exit)> {
        let mut turn = self.turn.lock().await;
        match self.init.phase() {
            Phase::Running { .. } => {
                return Err(Error::WrongState {
                    verb: "delete",
                    state: "running",
                });
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
        self.init.stdio.drained(DRAIN).await;
        self.init.stdio.shut();
        self.clean(true).await;
        Ok((self.init.phase().pid(), exit))
    }

    /// Removes what the container has on the machine. Every step runs, also after failures.
    async fn clean(&self, created: bool) {
        if let Some(attach) = self.attach.get() {
            attach.abort();
        }
        let made = self.made.get();
        if let Some(made) = made {
            made.cgroup.kill_all();
        }
        if made.is_some_and(|made| made.created.delete_by_runtime) {
            let bundle = self.bundle.to_string_lossy();
            report(self.ask("delete", &[&bundle, &self.id]).await);
        }
        match made {
            Some(made) => report(made.cgroup.remove()),
            // A runtime that failed half-way may have left its cgroup.
            None if !created => remove_strays(&self.bundle),
            None => {}
        }
        let state = state_root(&self.bundle);
        if let Err(error) = std::fs::remove_dir_all(&state)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            report(Err(Error::io("remove", state)(error)));
        }
        mounts::unmount_root(&self.bundle.join("rootfs"));
    }

    async fn ask(&self, verb: &str, arguments: &[&str]) -> Result<()> {
        let mut helper = self.tools.helpers.start(verb, arguments, ChildStdio::default())?;
        let reply = helper.reply().await;
        helper.finish().await;
        reply.map(drop)
    }

    fn init_ended(&self, exit: Exit) {
        let mut oom = false;
        if let Some(made) = self.made.get() {
            if !made.created.private_pids {
                made.cgroup.kill_all();
            }
            oom = made.cgroup.oom_kills() > 0;
        }
        let record = ExitRecord::new(self.init.phase().pid(), exit, oom);
        report(exit::write(&exit::init_path(&self.bundle), &record));
        self.init.ended(exit);
    }

    /// Whether a process of it was killed for want of memory.
    pub fn oom_killed(&self) -> bool {
        match exit::read::<ExitRecord>(&exit::init_path(&self.bundle)) {
            Some(record) => record.oom,
            None => self.made.get().is_some_and(|made| made.cgroup.oom_kills() > 0),
        }
    }

    fn execs(&self) -> MutexGuard<'_, HashMap<String, ExecEntry>> {
        self.execs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn no_exec(&self, exec: &str) -> Error {
        Error::NoExec {
            container: self.id.clone(),
            exec: exec.to_string(),
        }
    }

    fn exec_exists(&self, exec: &str) -> Error {
        Error::ExecExists {
            container: self.id.clone(),
            exec: exec.to_string(),
        }
    }
}

impl Processes for Container {
    fn stdio(&self, exec: &str) -> Result<Arc<Stdio>> {
        self.process(exec).map(|process| process.stdio.clone())
    }
}

/// Removes the cgroup that a bundle's spec names, with what is in it.
pub fn remove_strays(bundle: &Path) {
    if let Ok(path) = crate::runtime::spec::cgroups_path(bundle) {
        let cgroup = Cgroup::at(&path);
        cgroup.kill_all();
        report(cgroup.remove());
    }
}

/// A shell's status for a program that could not be started.
fn failed_status(reason: &str) -> u32 {
    let has = |words: &str| reason.contains(words);
    if has("not found in $PATH") || has("no such file or directory") {
        127
    } else if has("permission denied") || has("is a directory") {
        126
    } else {
        255
    }
}

fn never_run() -> Exit {
    Exit {
        status: 0,
        at: SystemTime::now(),
    }
}

/// What nobody waits for goes to the shim's log.
fn report(done: Result<()>) {
    if let Err(error) = done {
        eprintln!("{error}");
    }
}
