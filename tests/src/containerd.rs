//! A stock containerd beside a node.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::node::binary;
use crate::{Outcome, eventually, target};

/// The daemon; dropping it ends it and removes its directory.
pub struct Containerd {
    folder: TempDir,
    daemon: Option<Child>,
}

impl Containerd {
    /// A daemon that is not started yet, with the path of its socket.
    pub fn place() -> Self {
        let folder = TempDir::with_prefix_in("gantry-containerd-", "/dev/shm").expect("a folder");
        Self { folder, daemon: None }
    }

    /// The path of its socket.
    pub fn address(&self) -> PathBuf {
        self.folder.path().join("containerd.sock")
    }

    /// Starts the daemon with these settings beside the usual ones, and returns when it answers.
    ///
    /// `GANTRY_CONTAINERD` names the program; otherwise it is the one that `deploy/setup test` has downloaded. It
    /// finds Gantry's shims first, then its own.
    pub fn start(&mut self, settings: &str) {
        let path = |name: &str| self.folder.path().join(name);
        let config = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\", \
             \"io.containerd.cri.v1.images\", \"io.containerd.cri.v1.runtime\", \"io.containerd.internal.v1.opt\", \
             \"io.containerd.nri.v1.nri\"]\n[grpc]\naddress = {:?}\n{settings}\n",
            path("root"),
            path("state"),
            self.address(),
        );
        std::fs::write(path("config.toml"), config).expect("a file");
        let program = std::env::var_os("GANTRY_CONTAINERD").map(PathBuf::from);
        let program = program.unwrap_or_else(|| target().join("clients/containerd"));
        let log = std::fs::File::create(path("log")).expect("a file");
        let mut command = Command::new(&program);
        command.arg("--config").arg(path("config.toml"));
        let shim = binary("containerd-shim-gantry-v2");
        let shims = shim.parent().expect("it is in a folder");
        let search = std::env::var("PATH").unwrap_or_default();
        let clients = target().join("clients");
        command.env("PATH", format!("{}:{}:{search}", shims.display(), clients.display()));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.daemon = Some(command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display())));
        eventually("containerd answers", Duration::from_secs(30), || {
            let outcome = self.ctr("default", &["version"]);
            if outcome.code == 0 { Ok(()) } else { Err(outcome.stderr) }
        });
    }

    /// Runs `ctr`.
    pub fn ctr(&self, namespace: &str, arguments: &[&str]) -> Outcome {
        self.ctr_with(namespace, arguments, b"")
    }

    /// Runs `ctr` with input.
    pub fn ctr_with(&self, namespace: &str, arguments: &[&str], input: &[u8]) -> Outcome {
        let mut command = Command::new(target().join("clients/ctr"));
        command.arg("--address").arg(self.address()).args(["-n", namespace]).args(arguments);
        Outcome::of(command, input)
    }

    /// Its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Its directory.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends it; its data stays.
    pub fn stop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("--- containerd\n{}", self.log());
        }
    }
}
