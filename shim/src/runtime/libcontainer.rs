//! The built-in runtime: libcontainer. The init is the shim's own child (the helper's sibling), cgroups are named by
//! path, and the state is in the bundle.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use ::libcontainer::container::Container;
use ::libcontainer::container::builder::ContainerBuilder;
use ::libcontainer::syscall::syscall::SyscallType;
use gantry_cgroup::v1::Group;
use gantry_cgroup::{Cgroup, Scope, Visit, devices, is_unified, limits};
use oci_spec::runtime::LinuxResources;
use serde_json::{Value, json};

use super::after::After;
use super::diagnosis::{self, Diagnosis};
use super::failure::StartFailure;
use super::init::Init;
use super::launch::{self, Confinement, Launch};
use super::placement::Placement;
use super::seccomp::Filter;
use super::spec::{Prepared, text};
use super::{Exec, Executed, Failure, Made, Runtime, Subject, enter, own_state, user_namespace};

/// A container that libcontainer creates.
pub struct Builtin {
    subject: Subject,
    created: Option<(Container, OwnedFd)>,
}

/// The parts of a spec that this runtime applies itself, and libcontainer does not see.
struct Reduced {
    confinement: Confinement,
    placement: Option<Placement>,
    after: After,
    /// Kept open until libcontainer has joined the namespace.
    _user_namespace: Option<OwnedFd>,
}

impl Builtin {
    /// A runtime for `subject`; creates nothing yet.
    pub fn new(subject: Subject) -> Self {
        Self { subject, created: None }
    }

    /// Writes a spec for libcontainer without capabilities, limits, seccomp, cgroups and some mounts. libcontainer
    /// compiles the filter each time, gets masked comparisons wrong, joins cgroups the slow way, would have to work
    /// under the program's limits, and makes some mounts wrongly. Returns the path of the bundle for libcontainer and
    /// the parts that were taken out.
    fn confine(&self, spec: &Prepared) -> Result<(PathBuf, Reduced), Failure> {
        let profile = spec.spec.pointer("/linux/seccomp").filter(|profile| !profile.is_null());
        let filter = match profile {
            None => None,
            Some(profile) => match Filter::of(profile, &self.subject.bundle)? {
                Some(filter) => Some(filter),
                // libcontainer itself must serve a listener, and needs the filter for that.
                None => {
                    let mut spec = spec.spec.clone();
                    let (confinement, after) = (Confinement::default(), After::begin(&mut spec)?);
                    let reduced = Reduced { confinement, placement: None, after, _user_namespace: None };
                    return Ok((self.leave(&mut spec)?, reduced));
                }
            },
        };
        if let Some(filter) = &filter {
            filter.leave(&self.subject.bundle)?;
        }
        let mut reduced = spec.spec.clone();
        if let Some(linux) = reduced.get_mut("linux").and_then(Value::as_object_mut) {
            linux.remove("seccomp");
        }
        let process = reduced.get_mut("process").and_then(Value::as_object_mut);
        let (capabilities, limits) = process
            .map(|process| (process.remove("capabilities"), process.remove("rlimits")))
            .unwrap_or_default();
        let capabilities = parsed("capabilities", capabilities)?;
        let limits = parsed("rlimits", limits)?.unwrap_or_default();
        let user_namespace = user_namespace::prepare(&mut reduced)?;
        let after = After::begin(&mut reduced)?;
        let placement = Placement::begin(&mut reduced)?;
        if is_unified()
            && let Some(linux) = reduced.get_mut("linux").and_then(Value::as_object_mut)
        {
            // libcontainer takes a swap limit of zero bytes for no limit, and leaves out devices.
            linux.remove("resources");
        }
        let no_new_privileges = spec.spec.pointer("/process/noNewPrivileges") == Some(&json!(true));
        let bundle = self.leave(&mut reduced)?;
        let confinement = Confinement { limits, capabilities, no_new_privileges, filter };
        Ok((bundle, Reduced { confinement, placement, after, _user_namespace: user_namespace }))
    }

    /// Writes a spec to a bundle for libcontainer. Returns the path of the bundle.
    fn leave(&self, spec: &mut Value) -> Result<PathBuf, Failure> {
        let root = text(spec, "/root/path").unwrap_or("rootfs").to_string();
        spec["root"]["path"] = json!(self.subject.bundle.join(root));
        let directory = own_state(&self.subject.bundle).join(".spec");
        let path = directory.join("config.json");
        std::fs::create_dir_all(&directory)
            .and_then(|()| crate::exit::private(&path))
            .and_then(|mut file| file.write_all(spec.to_string().as_bytes()))
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(directory)
    }

    fn build(&self, spec: &Prepared, status: OwnedFd) -> Result<(Container, Option<OwnedFd>), StartFailure> {
        let state = self.subject.state();
        std::fs::create_dir_all(&state).map_err(|error| format!("{}: {error}", state.display()))?;
        let resources = resources_of(&spec.spec)?;
        let path = text(&spec.spec, "/linux/cgroupsPath").unwrap_or_default();
        // From here on, forked processes are born in the scope.
        let visit = Scope::of_path(path)
            .map(|scope| scope.enter(&self.subject.id))
            .transpose()
            .map_err(|error| chain(&error))?;
        let (bundle, Reduced { confinement, placement, after, _user_namespace }) = self.confine(spec)?;
        let console = if spec.terminal { Some(Console::listen(&self.subject.bundle)?) } else { None };
        let container = ContainerBuilder::new(self.subject.id.clone(), SyscallType::default())
            .with_executor(Launch::new(status, confinement))
            .with_console_socket(console.as_ref().map(|console| console.path.clone()))
            .with_root_path(&state)
            .and_then(ContainerBuilder::validate_id)
            .and_then(|builder| {
                builder
                    .as_init(&bundle)
                    .with_systemd(false)
                    .with_detach(true)
                    .as_sibling(true)
                    .with_no_pivot(self.subject.choice.no_pivot)
                    .build()
            })
            .map_err(|error| diagnosis::read(chain(&error)))?;
        let master = console.map(Console::receive).transpose()?;
        let init = Init::open(container.pid().ok_or("the container has no process")?.as_raw())?;
        let left = visit.map_or(Ok(()), Visit::leave).map_err(|error| chain(&error));
        let limited = left.and_then(|()| match placement {
            Some(placement) => placement.finish(&init),
            None => limit(path, &resources),
        });
        // The shim waits for the end of the init, so the init is killed.
        limited.and_then(|()| after.finish(&init)).inspect_err(|_| init.kill())?;
        Ok((container, master))
    }
}

fn resources_of(spec: &Value) -> Result<LinuxResources, Failure> {
    let resources = spec.pointer("/linux/resources").filter(|all| !all.is_null()).cloned();
    let resources = resources.map(serde_json::from_value).transpose();
    Ok(resources.map_err(|error| format!("linux.resources: {error}"))?.unwrap_or_default())
}

/// Sets limits and device rules on v2.
fn limit(path: &str, resources: &LinuxResources) -> Result<(), Failure> {
    if !is_unified() {
        return Ok(());
    }
    let directory = write_limits(path, resources)?;
    devices::confine(&directory, resources.devices().as_deref().unwrap_or_default())
        .map_err(|error| chain(&error))
}

/// Writes limits on v2. Returns the container's cgroup. systemd writes first, because it knows fewer of the limits.
fn write_limits(path: &str, resources: &LinuxResources) -> Result<PathBuf, Failure> {
    if let Some(scope) = Scope::of_path(path) {
        scope.limit(resources).map_err(|error| chain(&error))?;
    }
    let found = Cgroup::at(path).directories().first().cloned();
    let directory = found.ok_or_else(|| format!("cgroup {path} does not exist"))?;
    limits::v2::apply(&directory, resources).map_err(|error| chain(&error))?;
    Ok(directory)
}

impl Runtime for Builtin {
    fn create(&mut self, spec: &Prepared) -> Result<Made, StartFailure> {
        launch::give_pipes(spec.uid);
        let diagnosis = Diagnosis::begin();
        let (status, writer) = launch::status_pipe()?;
        match self.build(spec, writer) {
            Ok((container, console)) => {
                let pid = container.pid().ok_or("the container has no process")?.as_raw();
                self.created = Some((container, status));
                Ok(Made { pid, console })
            }
            // The reason of the launch is the clearest, then the error that was logged nearest to the cause. (After a
            // failed hook, the container's process still waits; the shim kills the processes in the cgroup.)
            Err(outer) => Err(match launch::told_so_far(status) {
                Err(reason) => reason,
                Ok(()) => launch::failed(match diagnosis.first() {
                    Some(first) => outer.because(diagnosis::read(first)),
                    None => outer,
                }),
            }),
        }
    }

    fn start(&mut self) -> Result<(), StartFailure> {
        let (mut container, status) = self.created.take().ok_or("the container was not created here")?;
        container.start().map_err(|error| diagnosis::read(chain(&error)))?;
        launch::await_launch(status)
    }

    fn exec(&mut self, request: &Exec) -> Result<Executed, StartFailure> {
        enter::exec(&self.subject.bundle, request)
    }

    fn update(&mut self, resources: &LinuxResources) -> Result<(), Failure> {
        let path = super::spec::cgroups_path(&self.subject.bundle)?;
        if !is_unified() {
            let group = Group::make(&path).map_err(|error| format!("cgroup {path}: {error}"))?;
            return limits::v1::apply(&group, resources).map_err(|error| chain(&error));
        }
        write_limits(&path, resources).map(drop)
    }

    fn delete(&mut self) -> Result<(), Failure> {
        let state = self.subject.state().join(&self.subject.id);
        if !state.exists() {
            return Ok(());
        }
        Container::load(state).and_then(|mut container| container.delete(true)).map_err(|error| chain(&error))
    }
}

/// Parses a part of a spec, if the spec has it.
fn parsed<T: for<'a> serde::Deserialize<'a>>(name: &str, value: Option<Value>) -> Result<Option<T>, Failure> {
    let value = value.filter(|value| !value.is_null());
    value.map(serde_json::from_value).transpose().map_err(|error| format!("{name}: {error}"))
}

/// The socket on which another runtime hands over the terminal's master.
pub struct Console {
    /// Its socket.
    pub path: PathBuf,
    listener: UnixListener,
}

impl Console {
    /// Binds the socket in the directory of the shim's socket. Other runtimes connect by its path, which must be
    /// shorter than 108 bytes; a path in the bundle of a long id is not.
    pub fn listen(bundle: &Path) -> Result<Self, Failure> {
        let directory = crate::command::socket_directory(bundle);
        let path = directory.join(format!("console-{}.sock", std::process::id()));
        let failed = |error: std::io::Error| format!("console socket {}: {error}", path.display());
        std::fs::create_dir_all(&directory).map_err(failed)?;
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).map_err(failed)?;
        Ok(Self { path, listener })
    }

    /// Receives the terminal, which the runtime has sent by now.
    pub fn receive(self) -> Result<OwnedFd, Failure> {
        let failed = |error: &dyn std::fmt::Display| format!("console socket: {error}");
        let (stream, _) = self.listener.accept().map_err(|error| failed(&error))?;
        crate::control::receive_console(&stream)
            .map_err(|errno| failed(&errno))?
            .ok_or_else(|| "console socket: no terminal came".into())
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// An error with its sources, without repeating a level.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let level = cause.to_string();
        if !text.contains(&level) {
            text = format!("{text}: {level}");
        }
        source = cause.source();
    }
    text
}
