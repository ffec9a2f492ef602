//! One container of the shim: the init, the execs, the cgroup and the root.
//!
//! ```text
//! <bundle>/config.json       the spec, with the user, HOME and the cgroup path resolved
//! <bundle>/rootfs            the root, mounted in the shim's namespace only
//! <bundle>/runtime.json      the runtime that made the container
//! <bundle>/runtime/          the runtime's state
//! <bundle>/attach.sock       where clients attach to output and input
//! <bundle>/execs/<id>.json   the process of an exec that was added
//! <bundle>/init.json, exit.json    see `exit`
//! ```

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use gantry_cgroup::Cgroup;
use gantry_failpoint::failpoint;
use gantry_proto::containerd::types::Mount;
use parking_lot::{Mutex, MutexGuard};
use tokio::task::AbortHandle;

use crate::control::{Created, Order, Reply};
use crate::error::{Error, Result};
use crate::events::Publisher;
use crate::exit::{self, InitRecord};
use crate::helper::{ChildStdio, Helper, Helpers};
use crate::mounts;
use crate::oom::Oom;
use crate::process::{Phase, Process};
use crate::reaper::Reaper;
use crate::runtime::Choice;
use crate::signal::Signal;
use crate::stdio::attach::{self, Processes};
use crate::stdio::{Owner, Stdio, Wanted};

mod end;
mod exec;
mod tell;

/// What all containers of the shim share.
#[derive(Clone)]
pub struct Tools {
    pub namespace: String,
    pub helpers: Helpers,
    pub reaper: Reaper,
    pub events: Publisher,
}

/// The request to create a container.
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
    choice: Choice,
    init: Arc<Process>,
    made: OnceLock<Made>,
    /// Serializes changes of state: start, pause, an exec's start, delete.
    turn: tokio::sync::Mutex<Turn>,
    // Guards the map; never held across an await.
    execs: Mutex<HashMap<String, ExecEntry>>,
    attach: OnceLock<AbortHandle>,
}

struct Made {
    created: Created,
    cgroup: Cgroup,
    oom: Oom,
    /// When the init was started, see [`InitRecord`].
    init_start: u64,
}

struct Turn {
    /// The runtime helper that waits to start the program.
    waiting: Option<Helper>,
    paused: bool,
}

struct ExecEntry {
    process: Arc<Process>,
    /// The file with the exec's process; its start takes it.
    planned: Option<PathBuf>,
}

impl Container {
    /// Creates a container up to its start. Cleans up after a failure.
    pub async fn create(tools: Tools, request: Request) -> Result<Arc<Self>> {
        let bundle = request.bundle;
        let root = bundle.join("rootfs");
        let mut choice = request.choice;
        // As with runc's shim, ids are unique within a namespace only.
        choice.root = choice.root.map(|root| root.join(&tools.namespace));
        let path = Choice::path(&bundle);
        let bytes = serde_json::to_vec(&choice).expect("plain records always serialize");
        std::fs::write(&path, bytes).map_err(Error::io("write", path))?;
        mounts::mount_root(&request.rootfs, &root)?;
        let owner = Owner { namespace: &tools.namespace, container: &request.id };
        let opened = async {
            failpoint!("shim.create.mounted");
            let stdio = Stdio::new(&request.wanted)?;
            let child = stdio.open(owner).await?;
            Ok((stdio, child))
        };
        let (stdio, child) = match opened.await {
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
            choice,
            made: OnceLock::new(),
            turn: tokio::sync::Mutex::new(Turn { waiting: None, paused: false }),
            execs: Mutex::default(),
            attach: OnceLock::new(),
        });
        match container.make(child).await {
            Ok(()) => {
                container.tell_created(request.rootfs);
                Ok(container)
            }
            Err(error) => {
                container.init.stdio.shut();
                container.clean(false).await;
                Err(error)
            }
        }
    }

    async fn make(self: &Arc<Self>, child: ChildStdio) -> Result<()> {
        let bundle = self.bundle.to_string_lossy();
        let arguments = [&*bundle, &self.id, &self.tools.namespace];
        let mut helper = self.tools.helpers.start("create", &arguments, child)?;
        let (reply, console) = helper.reply().await?;
        let Reply::Created(created) = reply else {
            return Err(Error::Runtime(format!("the runtime helper said {reply:?}").into()));
        };
        failpoint!("shim.create.made");
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
        cgroup.mark(&self.bundle);
        let oom = self.watch_memory(&cgroup);
        let _ = self.made.set(Made { created, cgroup, oom, init_start: record.start_time });
        exit::write(&self.bundle.join("init.json"), &record)?;
        failpoint!("shim.create.noted");
        if let Some((columns, rows)) = console_size {
            self.init.stdio.resize(columns, rows)?;
        }
        self.init.stdio.connect(console)?;
        let listener = attach::bind(&self.bundle)?;
        let serving = tokio::spawn(attach::serve(listener, self.clone()));
        let _ = self.attach.set(serving.abort_handle());
        self.turn.lock().await.waiting = Some(helper);
        let container = Arc::downgrade(self);
        tokio::spawn(async move {
            if let (Ok(exit), Some(container)) = (ended.await, container.upgrade()) {
                container.init_ended(exit);
                // Waits for a start under way.
                let _turn = container.turn.lock().await;
                container.tell_exited(&container.init, exit);
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

    /// The ids of all execs.
    pub fn exec_ids(&self) -> Vec<String> {
        self.execs().keys().cloned().collect()
    }

    /// The container's cgroup.
    pub fn cgroup(&self) -> Result<&Cgroup> {
        self.made().map(|made| &made.cgroup)
    }

    fn made(&self) -> Result<&Made> {
        self.made.get().ok_or_else(|| Error::NotRunning(self.id.clone()))
    }

    /// Starts the init's program. Returns the pid.
    pub async fn start(&self) -> Result<i32> {
        let mut turn = self.turn.lock().await;
        let phase = self.init.phase();
        let Some(mut helper) = turn.waiting.take() else {
            return Err(Error::WrongState { verb: "start", state: phase.name() });
        };
        self.init.stdio.feed()?;
        helper.order(&Order::Start)?;
        let reply = helper.reply().await;
        helper.finish().await;
        reply?;
        failpoint!("shim.start.started", infallible);
        self.tell_started(&self.init, phase.pid());
        self.init.runs();
        Ok(phase.pid())
    }

    /// Sends a signal to a process, or to all processes of the container.
    pub fn kill(&self, exec: &str, signal: Signal, all: bool) -> Result<()> {
        let process = self.process(exec)?;
        if all && exec.is_empty() {
            let cgroup = self.cgroup()?;
            if cgroup.pids().is_empty() {
                return Err(Error::AlreadyFinished);
            }
            match signal {
                Signal::KILL => cgroup.kill_all(),
                signal => cgroup.signal_all(|pid| {
                    let _ = signal.send_to(pid);
                }),
            }
        } else {
            process.signal(signal)?;
        }
        // A killed exec of a frozen container dies when the container is thawed.
        if signal == Signal::KILL && exec.is_empty() {
            // On cgroup v1 a frozen process does not die.
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
        self.tell_paused();
        Ok(())
    }

    /// Thaws frozen processes.
    pub async fn resume(&self) -> Result<()> {
        let mut turn = self.turn.lock().await;
        if !turn.paused {
            return Err(Error::WrongState { verb: "resume", state: self.init.phase().name() });
        }
        self.cgroup()?.thaw()?;
        turn.paused = false;
        self.tell_resumed();
        Ok(())
    }

    /// Whether the container is frozen.
    pub async fn is_paused(&self) -> bool {
        matches!(self.init.phase(), Phase::Running { .. }) && self.turn.lock().await.paused
    }

    /// Sets new limits, given as the resources of an OCI runtime spec (JSON).
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

    async fn ask(&self, verb: &str, arguments: &[&str]) -> Result<()> {
        let mut helper = self.tools.helpers.start(verb, arguments, ChildStdio::default())?;
        let reply = helper.reply().await;
        helper.finish().await;
        reply.map(drop)
    }

    fn execs(&self) -> MutexGuard<'_, HashMap<String, ExecEntry>> {
        self.execs.lock()
    }
}

impl Processes for Container {
    fn stdio(&self, exec: &str) -> Result<Arc<Stdio>> {
        self.process(exec).map(|process| process.stdio.clone())
    }
}

/// Logs the failure of a step that no client waits for.
fn report(done: Result<()>) {
    if let Err(error) = done {
        eprintln!("{error}");
    }
}
