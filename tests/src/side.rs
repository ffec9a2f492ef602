//! The same test on Gantry and on the reference.
//!
//! Where `GANTRY_REFERENCE` names the address of a dockerd (such as `unix:///run/docker.sock`), [`sides`] returns it
//! too: what a test asserts is then what the reference does. A test names its objects by [`Side::name`] and removes
//! them, because the reference is shared and outlives the test.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::{Client, Node, Outcome, image, target};

/// The environment variable with the reference's address.
const REFERENCE: &str = "GANTRY_REFERENCE";

/// A Docker endpoint that tests compare.
#[derive(Debug)]
pub struct Side {
    /// Its name, for messages.
    pub who: &'static str,
    socket: PathBuf,
    config: PathBuf,
    prefix: String,
}

/// A response that has taken over its connection.
#[derive(Debug)]
pub struct Hijacked {
    /// The status and the headers.
    pub head: String,
    /// The bytes after them.
    pub body: Vec<u8>,
}

/// Gantry and, if there is one, the reference; both have the image `busybox`.
pub fn sides(node: &Node) -> Vec<Side> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    static IMAGE: Once = Once::new();
    let prefix = format!("t{}-{}-", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let config = node.root().join("docker-config");
    let side = |who, socket| Side { who, socket, config: config.clone(), prefix: prefix.clone() };
    let mut all = vec![side("gantry", node.socket("docker.sock"))];
    if let Ok(address) = std::env::var(REFERENCE) {
        let socket = address.strip_prefix("unix://").expect("GANTRY_REFERENCE is a unix:// address");
        let reference = side("reference", socket.into());
        IMAGE.call_once(|| {
            let import = ["import", "-c", "CMD [\"/bin/sh\"]", "-", crate::node::BUSYBOX];
            reference.docker_with(&import, &image::busybox_tar()).ok();
        });
        all.push(reference);
    }
    all
}

impl Side {
    /// A name that no other test has.
    pub fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Runs `work` in the daemon's network; sockets that it binds stay there.
    pub fn in_network<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let stream = UnixStream::connect(&self.socket).expect("it listens");
        let daemon = rustix::net::sockopt::socket_peercred(&stream).expect("a peer").pid;
        let network =
            std::fs::File::open(format!("/proc/{}/ns/net", daemon.as_raw_nonzero())).expect("it runs");
        std::thread::scope(|scope| {
            let there = scope.spawn(|| {
                let network = network.as_fd();
                rustix::thread::move_into_link_name_space(network, None).expect("joined");
                work()
            });
            there.join().expect("no panic")
        })
    }

    /// A docker client for this side.
    pub fn docker_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(target().join("clients/docker"));
        command
            .env("DOCKER_HOST", format!("unix://{}", self.socket.display()))
            .env("DOCKER_CONFIG", &self.config)
            .env("DOCKER_CLI_HINTS", "false")
            .env("LC_ALL", "C.UTF-8")
            .args(arguments);
        command
    }

    /// The docker client's path.
    pub fn client(&self) -> String {
        target().join("clients/docker").display().to_string()
    }

    /// Sends a POST that takes over the connection, without input. Returns everything until the end.
    pub fn hijacked(&self, path: &str, body: &str) -> Hijacked {
        let mut stream = UnixStream::connect(&self.socket).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(100))).expect("set");
        let request = format!(
            "POST /v1.51{path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("its end");
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        Hijacked { head, body: answer.split_off(end) }
    }

    /// Runs the docker client.
    pub fn docker(&self, arguments: &[&str]) -> Outcome {
        self.docker_with(arguments, b"")
    }

    /// Runs the docker client with input.
    pub fn docker_with(&self, arguments: &[&str], input: &[u8]) -> Outcome {
        Outcome::of(self.docker_command(arguments), input)
    }

    /// Starts the docker client without reading its output.
    pub fn docker_started(&self, arguments: &[&str]) -> Client {
        let mut command = self.docker_command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Client::start(command)
    }

    /// Sends a request to the API. Returns the status, and the body as JSON (or as a string, when it is not JSON).
    /// `path` begins with a slash and is below version 1.51; an empty `body` is not sent.
    pub fn api(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut command = Command::new("curl");
        command.args(["-sSg", "--max-time", "100", "-w", "\n%{http_code}", "-X", method]);
        command.arg("--unix-socket").arg(&self.socket);
        if !body.is_empty() {
            command.args(["-H", "Content-Type: application/json", "--data-binary", "@-"]);
        }
        command.arg(format!("http://docker/v1.51{path}"));
        let answer = Outcome::of(command, body.as_bytes());
        let (text, status) = answer.stdout.rsplit_once('\n').unwrap_or_else(|| panic!("{answer:#?}"));
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
        (status.parse().expect("a status"), value)
    }
}
