//! The runtime helper: a single-threaded process that creates and starts one container, or does one other task,
//! reports over its control socket, and ends.
//!
//! Command line: `runtime <control fd> <verb> <bundle> <id> [argument…]`. The helper's stdio is the container's
//! stdio. The trait [`Runtime`] has two implementations: the built-in [`libcontainer`], and any OCI runtime's
//! [`binary`].

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::control::{self, Created, Order, Reply};
use crate::error::{Error, Result as Done};
use failure::{Stage, StartFailure};

pub mod after;
pub mod binary;
pub mod diagnosis;
pub mod enter;
pub mod failure;
pub mod guard;
pub mod init;
pub mod launch;
pub mod libcontainer;
pub mod placement;
pub mod seccomp;
pub mod spec;
pub mod subpath;
pub mod user;
pub mod user_namespace;

/// Why a step failed, as one line for people. A step that knows the cause returns a [`StartFailure`] instead.
pub type Failure = String;

/// The runtime of a container, with its options; kept at `<bundle>/runtime.json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Choice {
    /// The binary of an OCI runtime; `None` is the built-in runtime.
    #[serde(default)]
    pub binary: Option<String>,
    /// The runtime's state directory for all containers of the namespace; `None` is a directory in the bundle.
    #[serde(default)]
    pub root: Option<PathBuf>,
    #[serde(default)]
    pub systemd_cgroup: bool,
    #[serde(default)]
    pub no_pivot: bool,
    #[serde(default)]
    pub no_new_keyring: bool,
}

impl Choice {
    /// The path of the file in a bundle.
    pub fn path(bundle: &Path) -> PathBuf {
        bundle.join("runtime.json")
    }

    /// The choice for a bundle; the built-in runtime when the file is missing.
    pub fn read(bundle: &Path) -> Self {
        crate::exit::read(&Self::path(bundle)).unwrap_or_default()
    }

    /// The directory of the runtime's state for a bundle's container; it may have the state of other containers too.
    pub fn state(&self, bundle: &Path) -> PathBuf {
        self.root.clone().unwrap_or_else(|| own_state(bundle))
    }

    /// Removes the state that the runtime may have left of a container.
    pub fn remove_state(&self, bundle: &Path, id: &str) -> Done<()> {
        let shared = self.root.as_ref().map(|root| root.join(id));
        for directory in shared.into_iter().chain([own_state(bundle)]) {
            match std::fs::remove_dir_all(&directory) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", directory)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The container that the helper works on.
pub struct Subject {
    pub bundle: PathBuf,
    pub id: String,
    pub choice: Choice,
}

impl Subject {
    /// The directory of the runtime's state.
    pub fn state(&self) -> PathBuf {
        self.choice.state(&self.bundle)
    }
}

/// A state directory for one container, removed with the bundle.
pub fn own_state(bundle: &Path) -> PathBuf {
    bundle.join("runtime")
}

/// Creates and changes containers. Signals, freezing and counters need no runtime: the shim uses the process and its
/// cgroup.
pub trait Runtime {
    /// Creates the container, without starting its program.
    fn create(&mut self, spec: &spec::Prepared) -> Result<Made, StartFailure>;
    /// Starts the program of the container that this helper has created.
    fn start(&mut self) -> Result<(), StartFailure>;
    /// Runs an exec; `process` is the file of its description.
    fn exec(&mut self, request: &Exec) -> Result<Executed, StartFailure>;
    /// Sets new limits.
    fn update(&mut self, resources: &oci_spec::runtime::LinuxResources) -> Result<(), Failure>;
    /// Removes what is left of a container whose init has ended.
    fn delete(&mut self) -> Result<(), Failure>;
}

/// A created container that waits for its start.
pub struct Made {
    pub pid: i32,
    pub console: Option<OwnedFd>,
}

/// A running exec.
pub struct Executed {
    pub pid: i32,
    pub console: Option<OwnedFd>,
}

/// An exec to run, as the shim writes it to a file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Exec {
    pub process: oci_spec::runtime::Process,
    /// The user as a name or number, to be looked up in the container's root.
    #[serde(default)]
    pub user: Option<String>,
    /// Additional groups, from the container's annotation.
    #[serde(default)]
    pub groups: Option<String>,
    pub init: i32,
    /// The start time of the init: no other process of the same pid is taken for it.
    pub init_start: u64,
    pub cgroups: Vec<PathBuf>,
}

/// Runs the helper. `arguments` are those behind `runtime`.
pub fn run(arguments: &[String]) -> ExitCode {
    let [descriptor, verb, bundle, id, rest @ ..] = arguments else {
        eprintln!("the runtime helper is started by the shim only");
        return ExitCode::from(64);
    };
    let Some(control) = launch::claim_descriptor(descriptor) else {
        return ExitCode::from(64);
    };
    launch::reset_inherited();
    let bundle = PathBuf::from(bundle);
    let choice = Choice::read(&bundle);
    let subject = Subject { bundle, id: id.clone(), choice };
    match serve(&control, verb, subject, rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let message: String = failure.message.chars().take(8000).collect();
            let _ = control::send(&control, &Reply::Failed(StartFailure { message, ..failure }), None);
            ExitCode::FAILURE
        }
    }
}

fn serve(control: &OwnedFd, verb: &str, subject: Subject, rest: &[String]) -> Result<(), StartFailure> {
    let argument = || rest.first().ok_or_else(|| format!("{verb}: an argument is missing"));
    match verb {
        "create" => create(control, subject, argument()?)?,
        "exec" => {
            let mut exec: Exec = read_json(Path::new(argument()?))?;
            spec::prepare_exec(&mut exec).map_err(|failure| failure.at(Stage::Prepare))?;
            if let Some(size) = rest.get(1) {
                exec.process.set_console_size(Some(spec::console_of(size)?));
            }
            let done = choose(subject).exec(&exec).map_err(|failure| failure.at(Stage::Make))?;
            let reply = Reply::Started { pid: done.pid };
            report(control, &reply, done.console.as_ref())?;
        }
        "update" => {
            let resources = read_json(Path::new(argument()?))?;
            choose(subject).update(&resources)?;
            report(control, &Reply::Done, None)?;
        }
        "delete" => {
            choose(subject).delete()?;
            report(control, &Reply::Done, None)?;
        }
        other => return Err(format!("unknown helper verb {other}").into()),
    }
    Ok(())
}

fn create(control: &OwnedFd, subject: Subject, namespace: &str) -> Result<(), StartFailure> {
    let prepared = spec::prepare(&subject, namespace).map_err(|failure| failure.at(Stage::Prepare))?;
    let foreign = subject.choice.binary.is_some();
    let mut runtime = choose(subject);
    let made = runtime.create(&prepared).map_err(|failure| failure.at(Stage::Make))?;
    // The init may have ended already; its exit is then on its way to the shim.
    let init = Pid::from_raw(made.pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let cgroups = gantry_cgroup::Cgroup::made_for(made.pid)
        .map(|cgroup| cgroup.directories().to_vec())
        .unwrap_or_default();
    if let Some(console) = &made.console {
        launch::give_terminal(console, prepared.uid);
    }
    let created = Created {
        pid: made.pid,
        cgroups,
        private_pids: prepared.private_pids,
        delete_by_runtime: foreign || prepared.has_hooks,
        console_size: prepared.console_size,
        groups: prepared.groups,
    };
    let told = report(control, &Reply::Created(created), made.console.as_ref());
    drop(made.console);
    let ordered = told.is_ok() && matches!(control::receive::<Order>(control), Ok(Some((Order::Start, _))));
    if !ordered {
        // The shim has given up the container or is dead. The helper ends the init, which no client could start.
        if let Some(init) = init {
            let _ = pidfd_send_signal(&init, Signal::KILL);
        }
        return Ok(told?);
    }
    runtime.start().map_err(|failure| failure.at(Stage::Execute))?;
    Ok(report(control, &Reply::Started { pid: made.pid }, None)?)
}

fn choose(subject: Subject) -> Box<dyn Runtime> {
    match subject.choice.binary.clone() {
        Some(binary) => Box::new(binary::Binary::new(binary, subject)),
        None => Box::new(libcontainer::Builtin::new(subject)),
    }
}

fn report(control: &OwnedFd, reply: &Reply, console: Option<&OwnedFd>) -> Result<(), Failure> {
    control::send(control, reply, console.map(AsFd::as_fd))
        .map_err(|errno| format!("report to the shim: {errno}"))
}

fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T, Failure> {
    let bytes = std::fs::read(path).map_err(|error| format!("read {}: {error}", path.display()))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", path.display()))
}
