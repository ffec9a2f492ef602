//! The built-in runtime: libcontainer, with the container's init as the shim's own
//! child (the helper's sibling), cgroups by path, and its state inside the bundle.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use ::libcontainer::container::Container;
use ::libcontainer::container::builder::ContainerBuilder;
use ::libcontainer::syscall::syscall::SyscallType;
use libcgroups::common::{CgroupConfig, CgroupManager, ControllerOpt, create_cgroup_manager};
use oci_spec::runtime::LinuxResources;

use super::diagnosis::Diagnosis;
use super::launch::{self, Launch};
use super::spec::Prepared;
use super::{Exec, Executed, Failure, Made, Runtime, Subject, enter};

/// One container, made by libcontainer.
pub struct Builtin {
    subject: Subject,
    created: Option<(Container, OwnedFd)>,
}

impl Builtin {
    /// Makes nothing yet.
    pub fn new(subject: Subject) -> Self {
        Self {
            subject,
            created: None,
        }
    }

    fn build(&self, terminal: bool, status: OwnedFd) -> Result<(Container, Option<OwnedFd>), Failure> {
        let state = self.subject.state();
        std::fs::create_dir_all(&state).map_err(|error| format!("{}: {error}", state.display()))?;
        let console = if terminal {
            Some(Console::listen(state.clone())?)
        } else {
            None
        };
        let container = ContainerBuilder::new(self.subject.id.clone(), SyscallType::default())
            .with_executor(Launch::new(status))
            .with_console_socket(console.as_ref().map(|console| console.path.clone()))
            .with_root_path(&state)
            .and_then(ContainerBuilder::validate_id)
            .and_then(|builder| {
                builder
                    .as_init(&self.subject.bundle)
                    .with_systemd(false)
                    .with_detach(true)
                    .as_sibling(true)
                    .with_no_pivot(self.subject.choice.no_pivot)
                    .build()
            })
            .map_err(|error| chain(&error))?;
        let master = console.map(Console::receive).transpose()?;
        Ok((container, master))
    }
}

impl Runtime for Builtin {
    fn create(&mut self, spec: &Prepared) -> Result<Made, Failure> {
        launch::give_pipes(spec.uid);
        let diagnosis = Diagnosis::begin();
        let (status, writer) = launch::status_pipe()?;
        match self.build(spec.terminal, writer) {
            Ok((container, console)) => {
                let pid = container.pid().ok_or("the container has no process")?.as_raw();
                self.created = Some((container, status));
                Ok(Made { pid, console })
            }
            // What the program's search said is the clearest, then what was logged nearest to the cause.
            Err(outer) => Err(match launch::await_launch(status) {
                Err(reason) => reason,
                Ok(()) => match diagnosis.first() {
                    Some(first) => format!("unable to start container process: {outer}: {first}"),
                    None => format!("unable to start container process: {outer}"),
                },
            }),
        }
    }

    fn start(&mut self) -> Result<(), Failure> {
        let (mut container, status) = self.created.take().ok_or("the container was not created here")?;
        container.start().map_err(|error| chain(&error))?;
        launch::await_launch(status)
    }

    fn exec(&mut self, request: &Exec) -> Result<Executed, Failure> {
        enter::exec(&self.subject.bundle, request)
    }

    fn update(&mut self, resources: &LinuxResources) -> Result<(), Failure> {
        let path = super::spec::cgroups_path(&self.subject.bundle)?;
        let failed = |error: &dyn std::error::Error| format!("update {path}: {}", chain(error));
        let manager = create_cgroup_manager(CgroupConfig {
            cgroup_path: PathBuf::from(&path),
            systemd_cgroup: false,
            container_name: self.subject.id.clone(),
        })
        .map_err(|error| failed(&error))?;
        manager
            .apply(&ControllerOpt {
                resources,
                disable_oom_killer: false,
                oom_score_adj: None,
                freezer_state: None,
            })
            .map_err(|error| failed(&error))
    }

    fn delete(&mut self) -> Result<(), Failure> {
        let state = self.subject.state().join(&self.subject.id);
        if !state.exists() {
            return Ok(());
        }
        Container::load(state)
            .and_then(|mut container| container.delete(true))
            .map_err(|error| chain(&error))
    }
}

/// Where a container's terminal is handed over.
pub struct Console {
    /// Its socket.
    pub path: PathBuf,
    listener: UnixListener,
}

impl Console {
    /// Listens inside `directory`.
    pub fn listen(directory: PathBuf) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| format!("console socket: {error}");
        let path = directory.join(format!("console-{}.sock", std::process::id()));
        let opened = std::fs::File::open(&directory).map_err(failed)?;
        // By descriptor: a socket's own path must be shorter than 108 bytes.
        let short = format!("/proc/self/fd/{}", opened.as_raw_fd());
        let name = path.file_name().expect("the path was joined just now");
        let listener = UnixListener::bind(std::path::Path::new(&short).join(name)).map_err(failed)?;
        Ok(Self { path, listener })
    }

    /// Takes the terminal that was sent by now.
    pub fn receive(self) -> Result<OwnedFd, Failure> {
        let failed = |error: &dyn std::fmt::Display| format!("console socket: {error}");
        let _ = std::fs::remove_file(&self.path);
        let (stream, _) = self.listener.accept().map_err(|error| failed(&error))?;
        crate::control::receive_console(&stream)
            .map_err(|errno| failed(&errno))?
            .ok_or_else(|| "console socket: no terminal came".into())
    }
}

/// An error with its sources, each level said once.
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
