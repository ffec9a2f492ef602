//! Plugins by Docker's protocol, served by a test or run as programs, for Gantry and for the reference.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use gantry_plugin_sdk::{At, Server};
use tokio_util::sync::CancellationToken;

use crate::{Node, Setup, Side, binary, eventually};

const PATIENCE: Duration = Duration::from_secs(20);

/// Settings that make a node look for plugins in its own root.
pub const SETTINGS: &str = "[plugins]\nsockets = \"{root}/plugins\"\nspecs = []\n";

/// A node with the image `busybox` that looks for plugins in its own root.
pub fn node() -> Node {
    let node = Node::with(&Setup { settings: &[("engine", SETTINGS)], ..Setup::default() });
    node.import_busybox();
    node
}

/// The directory in which a daemon finds sockets, and a directory that daemon and test share, by the path that each
/// has for it.
#[derive(Debug)]
pub struct Shared {
    /// The directory of sockets.
    pub sockets: PathBuf,
    /// The shared directory, by the test's path.
    pub here: PathBuf,
    /// The shared directory, by the daemon's path.
    pub there: PathBuf,
    /// The daemon's /run, if it is not the test's.
    run: Option<PathBuf>,
}

impl Shared {
    /// Makes both directories; dropping this removes the shared one.
    ///
    /// # Panics
    ///
    /// When they cannot be made.
    pub fn of(node: &Node, side: &Side) -> Shared {
        let shared = match side.who {
            "gantry" => {
                let here = node.root().join("shared");
                Shared { sockets: node.root().join("plugins"), there: here.clone(), here, run: None }
            }
            // The reference's socket is in its /run.
            _ => {
                let run = side.socket().parent().expect("a folder");
                let name = side.name("shared");
                Shared {
                    sockets: run.join("docker/plugins"),
                    here: run.join(&name),
                    there: Path::new("/run").join(name),
                    run: Some(run.to_owned()),
                }
            }
        };
        for folder in [&shared.sockets, &shared.here] {
            std::fs::create_dir_all(folder).expect("made");
        }
        shared
    }

    /// The test's path for a path of the daemon's.
    pub fn reach(&self, told: &str) -> PathBuf {
        match (&self.run, told.strip_prefix("/run/")) {
            (Some(run), Some(below)) => run.join(below),
            _ => PathBuf::from(told),
        }
    }

    /// A plugin's socket.
    pub fn socket(&self, name: &str) -> PathBuf {
        self.sockets.join(format!("{name}.sock"))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Otherwise it goes with the node's root.
        let _ = std::fs::remove_dir_all(&self.here);
    }
}

/// A server in this process; dropping it ends it.
#[derive(Debug)]
pub struct Served {
    shutdown: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Served {
    /// Serves, and returns when it does.
    ///
    /// # Panics
    ///
    /// When it cannot serve.
    pub fn start(server: Server, socket: PathBuf) -> Served {
        let (shutdown, at) = (CancellationToken::new(), At::Socket(socket.clone()));
        let ended = shutdown.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(server.serve_until(&at, ended)).expect("served");
        });
        listens(&socket);
        Served { shutdown, thread: Some(thread) }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.shutdown.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One of Gantry's plugins, running on a daemon's side; dropping it kills it.
#[derive(Debug)]
pub struct Program {
    process: Child,
    copy: Option<PathBuf>,
    socket: PathBuf,
}

impl Program {
    /// Starts it as the driver `name`, and returns when it listens.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start(side: &Side, shared: &Shared, program: &str, name: &str, arguments: &[&str]) -> Program {
        let (program, socket) = (binary(program), shared.socket(name));
        let mut copy = None;
        let mut command = match side.who {
            "gantry" => {
                let mut command = Command::new(&program);
                command.arg("--socket").arg(&socket);
                command
            }
            // In the namespaces of the reference's daemon.
            _ => {
                let file = format!("{name}.program");
                std::fs::copy(&program, shared.here.with_file_name(&file)).expect("copied");
                copy = Some(shared.here.with_file_name(&file));
                let stream = std::os::unix::net::UnixStream::connect(side.socket()).expect("it listens");
                let daemon = rustix::net::sockopt::socket_peercred(&stream).expect("a peer").pid;
                let mut command = Command::new("nsenter");
                command.arg("-t").arg(daemon.as_raw_nonzero().to_string()).args(["-m", "-r", "-w", "--"]);
                command.arg(shared.there.with_file_name(&file)).args(["--name", name]);
                command
            }
        };
        let process = command.args(arguments).spawn().expect("started");
        listens(&socket);
        Program { process, copy, socket }
    }

    /// Ends it by SIGTERM, and waits for its end.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub fn end(mut self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signalled");
        eventually("the plugin ends", PATIENCE, || match self.process.try_wait() {
            Ok(Some(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.copy.take().map(std::fs::remove_file);
        // A daemon calls every socket that it finds, and waits for those without a listener.
        let _ = std::fs::remove_file(&self.socket);
    }
}

fn listens(socket: &Path) {
    eventually("the plugin is there", PATIENCE, || {
        std::os::unix::net::UnixStream::connect(socket).map(drop).map_err(|error| error.to_string())
    });
}
