//! One Gantry, in a root and a network namespace of its own.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use parking_lot::Mutex;
use tempfile::TempDir;

use crate::points::Orders;
use crate::{Client, Outcome, eventually, image, leaks, logs, target};

/// The name of the image that every node has.
pub const BUSYBOX: &str = "busybox";

/// How long all services may take until they answer.
const START: Duration = Duration::from_secs(60);

/// The setup of a node.
#[derive(Debug, Default)]
pub struct Setup<'a> {
    /// The directory in which its root is made; `None`: the host's shared memory, where sockets and bundles always
    /// are.
    pub folder: Option<&'a Path>,
    /// Services, and the text of their settings; `{root}` in the text is the node's root.
    pub settings: &'a [(&'a str, &'a str)],
}

/// A running Gantry.
pub struct Node {
    root: TempDir,
    /// The node's /run, when its root is on a disk.
    run: Option<TempDir>,
    netns: String,
    supervisor: Option<Child>,
    docker: PathBuf,
    abandoned: bool,
    /// Parts of WARN and ERROR lines that its services may log.
    permits: Mutex<Vec<String>>,
}

impl Node {
    /// Starts all services, with the image `busybox`.
    pub fn start() -> Self {
        let node = Self::empty();
        node.import_busybox();
        node
    }

    /// Imports the image `busybox`.
    pub fn import_busybox(&self) {
        self.docker_with(&["import", "-c", "CMD [\"/bin/sh\"]", "-", BUSYBOX], &image::busybox_tar()).ok();
    }

    /// Starts all services, without any image.
    pub fn empty() -> Self {
        Self::with(&Setup::default())
    }

    /// Starts all services with a setup, without any image.
    pub fn with(setup: &Setup<'_>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let netns = format!("gt-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        ip(&["netns", "add", &netns]);
        ip(&["-n", &netns, "link", "set", "lo", "up"]);
        let folder = setup.folder.unwrap_or(Path::new("/dev/shm"));
        let root = TempDir::with_prefix_in("gantry-", folder).expect("a temporary root");
        let run = setup.folder.map(|_| TempDir::with_prefix_in("gantry-run-", "/dev/shm").expect("a folder"));
        if let Some(run) = &run {
            std::os::unix::fs::symlink(run.path(), root.path().join("run")).expect("a link");
        }
        let config = root.path().join("config");
        std::fs::create_dir(&config).expect("a folder");
        for (service, text) in setup.settings {
            let text = text.replace("{root}", &root.path().display().to_string());
            std::fs::write(config.join(format!("{service}.toml")), text).expect("a file");
        }
        let mut node = Self {
            root,
            run,
            netns,
            supervisor: None,
            docker: target().join("clients/docker"),
            abandoned: false,
            permits: Mutex::default(),
        };
        node.up();
        node
    }

    /// The same node with another docker client.
    pub fn with_docker(mut self, docker: impl Into<PathBuf>) -> Self {
        self.docker = docker.into();
        self
    }

    /// Starts the supervisor, and returns when it prints `ready`.
    pub fn up(&mut self) {
        // By ip-netns(8), which enters a mount namespace without cgroups that Gantry has to leave.
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.netns]).arg(binary("gantry"));
        command.env(Orders::VARIABLE, self.orders().folder());
        command.arg("up").arg("--root").arg(self.root()).arg("--config").arg(self.root().join("config"));
        command.stdout(Stdio::piped());
        let mut child = command.spawn().expect("gantry starts");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        self.supervisor = Some(child);
        let (said, saying) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = output.read_line(&mut line);
            said.send(line)
        });
        let line = saying.recv_timeout(START).unwrap_or_else(|_| format!("nothing within {START:?}"));
        assert_eq!(line.trim(), "ready", "gantry up");
    }

    /// Ends the supervisor and the services by `gantry down`.
    pub fn down(&mut self, flags: &[&str]) {
        self.gantry(&[&["down"], flags].concat()).ok();
        if let Some(mut supervisor) = self.supervisor.take() {
            supervisor.wait().expect("it ends");
        }
    }

    /// The root directory of state and sockets.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// A socket of the node.
    pub fn socket(&self, name: &str) -> PathBuf {
        self.root().join("run").join(name)
    }

    /// The orders for the failpoints of its services.
    pub fn orders(&self) -> Orders {
        Orders::below(self.root())
    }

    /// The name of the network namespace, for ip-netns(8).
    pub fn netns(&self) -> &str {
        &self.netns
    }

    /// A command in the node's network namespace.
    pub fn inside(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.netns)).arg(program);
        command
    }

    /// Runs a command in the node's network namespace.
    pub fn exec(&self, arguments: &[&str]) -> Outcome {
        let (program, arguments) = arguments.split_first().expect("a program");
        let mut command = self.inside(Path::new(program));
        command.args(arguments);
        Outcome::of(command, b"")
    }

    /// A docker client for this node.
    pub fn docker_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.docker);
        command
            .env("DOCKER_HOST", format!("unix://{}", self.socket("docker.sock").display()))
            .env("DOCKER_CONFIG", self.root().join("docker-config"))
            .env("DOCKER_CLI_HINTS", "false")
            .env("LC_ALL", "C.UTF-8")
            .args(arguments);
        command
    }

    /// Starts the docker client without reading its output.
    pub fn docker_started(&self, arguments: &[&str]) -> Client {
        let mut command = self.docker_command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Client::start(command)
    }

    /// Runs the docker client.
    pub fn docker(&self, arguments: &[&str]) -> Outcome {
        self.docker_with(arguments, b"")
    }

    /// Runs the docker client with input.
    pub fn docker_with(&self, arguments: &[&str], input: &[u8]) -> Outcome {
        Outcome::of(self.docker_command(arguments), input)
    }

    /// Runs the operator's tool.
    pub fn gantry(&self, arguments: &[&str]) -> Outcome {
        self.gantry_with(arguments, b"")
    }

    /// Runs the operator's tool with input.
    pub fn gantry_with(&self, arguments: &[&str], input: &[u8]) -> Outcome {
        Outcome::of(self.gantry_command(arguments), input)
    }

    /// The operator's tool for this node.
    pub fn gantry_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.inside(&binary("gantry"));
        command.env("DOCKER_CONFIG", self.root().join("docker-config")).env("LC_ALL", "C.UTF-8");
        command.arg("--root").arg(self.root()).args(arguments);
        command
    }

    /// Runs containerd's client in a containerd namespace.
    pub fn ctr(&self, namespace: &str, arguments: &[&str]) -> Outcome {
        let mut command = self.inside(&target().join("clients/ctr"));
        command.arg("--address").arg(self.socket("containerd.sock")).args(["-n", namespace]).args(arguments);
        Outcome::of(command, b"")
    }

    /// The pid of a service.
    pub fn pid(&self, service: &str) -> u32 {
        let all = self.services();
        let one = all.iter().find(|one| one["service"] == service).expect("a service");
        one["pid"]
            .as_u64()
            .and_then(|pid| u32::try_from(pid).ok())
            .unwrap_or_else(|| panic!("{service} is away"))
    }

    /// The tool's status of each service.
    fn services(&self) -> Vec<serde_json::Value> {
        json_lines(&Outcome::of(self.gantry_status(), b"").stdout)
    }

    /// The pid of a running container's first process.
    pub fn container_pid(&self, container: &str) -> u32 {
        self.docker(&["inspect", "-f", "{{.State.Pid}}", container]).ok().parse().expect("a pid")
    }

    /// The pid of a running container's shim.
    pub fn shim(&self, container: &str) -> u32 {
        let pid = self.container_pid(container);
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).expect("it has a parent");
        parent.trim().parse().expect("a pid")
    }

    /// Kills a service, and returns when its successor serves.
    pub fn kill_service(&self, service: &str) {
        let old = self.pid(service);
        kill(old);
        self.wait_for_successor(service, old);
    }

    /// Waits until a service that had the pid `old` serves with another one.
    pub fn wait_for_successor(&self, service: &str, old: u32) {
        eventually(&format!("a new {service}"), Duration::from_secs(20), || {
            let one = self.services().into_iter().find(|one| one["service"] == service).unwrap_or_default();
            match one["healthy"].as_bool() == Some(true) && one["pid"].as_u64() != Some(old.into()) {
                true => Ok(()),
                false => Err(one.to_string()),
            }
        });
    }

    /// Kills the supervisor alone.
    pub fn kill_supervisor(&mut self) {
        let mut supervisor = self.supervisor.take().expect("it is up");
        supervisor.kill().expect("it runs");
        supervisor.wait().expect("it ends");
    }

    /// Kills the supervisor and every service at once.
    pub fn kill_everything(&mut self) {
        let all = self.services();
        if let Some(mut supervisor) = self.supervisor.take() {
            supervisor.kill().expect("it runs");
            supervisor.wait().expect("it ends");
        }
        for pid in all.iter().filter_map(|one| one["pid"].as_u64()) {
            kill(u32::try_from(pid).expect("a pid"));
        }
    }

    /// The logs of all services.
    pub fn logs(&self) -> String {
        let mut text = String::new();
        for entry in std::fs::read_dir(self.root().join("state/log")).into_iter().flatten().flatten() {
            text.push_str(&format!("--- {}\n", entry.file_name().to_string_lossy()));
            text.push_str(&std::fs::read_to_string(entry.path()).unwrap_or_default());
        }
        text
    }

    /// Permits lines at WARN or ERROR with one of these parts, because the test causes them.
    pub fn permit(&self, parts: &[&str]) {
        self.permits.lock().extend(parts.iter().map(ToString::to_string));
    }

    /// Lines at WARN or ERROR that neither the list ([`logs`]) nor this test permits.
    pub fn unlisted(&self) -> Vec<String> {
        logs::unlisted(&self.logs(), &self.permits.lock())
    }

    fn gantry_status(&self) -> Command {
        let mut command = Command::new(binary("gantry"));
        command.arg("--root").arg(self.root()).args(["status", "--json"]);
        command
    }

    /// Closes what only this process holds.
    fn release(&mut self) {
        if let Some(mut supervisor) = self.supervisor.take() {
            let _ = supervisor.kill();
            let _ = supervisor.wait();
        }
        let _ = Command::new("ip").args(["netns", "del", &self.netns]).status();
    }

    /// Ends the node without checking for leaks, because the test has made it lose its records.
    pub fn abandon(mut self) {
        self.end();
        self.abandoned = true;
    }

    /// Ends the node in any state.
    fn end(&mut self) {
        let mut down = Command::new("timeout");
        down.args(["-k", "1", "60"])
            .arg(binary("gantry"))
            .arg("--root")
            .arg(self.root())
            .args(["down", "--all"]);
        let _ = down.stdout(Stdio::null()).stderr(Stdio::null()).status();
        self.release();
        leaks::end(&self.folders());
    }

    /// The directories with everything that belongs to it.
    fn folders(&self) -> Vec<&Path> {
        [self.root()].into_iter().chain(self.run.as_ref().map(TempDir::path)).collect()
    }

    fn containers(&self) -> BTreeSet<String> {
        self.docker(&["ps", "-aq", "--no-trunc"]).stdout.lines().map(str::to_owned).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.abandoned {
            return;
        }
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
            self.end();
            return;
        }
        let containers = self.containers();
        for container in &containers {
            self.docker(&["rm", "-fv", container]);
        }
        let fsck = self.gantry(&["fsck"]);
        let unlisted = self.unlisted();
        let down = self.gantry(&["down", "--all"]);
        self.release();
        let left = leaks::of(&self.folders(), &containers);
        leaks::end(&self.folders());
        assert_eq!(down.code, 0, "{down:#?}");
        assert_eq!(fsck.code, 0, "{fsck:#?}");
        assert!(left.is_empty(), "left behind: {left:#?}");
        assert!(unlisted.is_empty(), "logged, and not listed in tests/src/logs.rs: {unlisted:#?}");
    }
}

/// The path of one of Gantry's programs.
pub fn binary(name: &str) -> PathBuf {
    let folder = std::env::var_os("GANTRY_BIN").map_or_else(|| target().join("debug"), PathBuf::from);
    folder.join(name)
}

/// The JSON documents of a text with one in each line.
pub fn json_lines(text: &str) -> Vec<serde_json::Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// Kills a running process.
pub fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it runs");
}

/// Whether a process exists and has not ended. One that nobody waits for stays as a zombie.
pub fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name may contain anything.
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
}

fn ip(arguments: &[&str]) {
    let status = Command::new("ip").args(arguments).status().expect("iproute2 is installed");
    assert!(status.success(), "ip {arguments:?}: {status}");
}
