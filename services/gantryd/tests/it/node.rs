//! Some services, in a temporary root.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Services that run until this is dropped.
pub struct Node {
    root: TempDir,
    children: Vec<Child>,
}

impl Node {
    /// Starts services with further environment, and returns when their sockets are there.
    pub async fn start(services: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut node = Self::empty();
        for service in services {
            let mut command = Command::new(env!("CARGO_BIN_EXE_gantryd"));
            command.arg(service).arg("--root").arg(node.root()).envs(environment.iter().copied());
            node.spawn(command);
        }
        for service in services {
            node.serving(service).await;
        }
        node
    }

    /// No services yet.
    pub fn empty() -> Self {
        let root = TempDir::with_prefix_in("gantryd-", "/dev/shm").expect("a temporary root");
        Self { root, children: Vec::new() }
    }

    /// Starts a service by a command of the caller's.
    pub fn spawn(&mut self, mut command: Command) {
        self.children.push(command.spawn().expect("it starts"));
    }

    /// Returns when a service's socket answers.
    pub async fn serving(&self, service: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while UnixStream::connect(self.socket(&format!("{service}.sock"))).await.is_err() {
            assert!(Instant::now() < deadline, "{service} does not serve");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }

    pub fn socket(&self, name: &str) -> PathBuf {
        self.root.path().join("run").join(name)
    }

    /// One HTTP/1 request to a socket; the whole answer.
    pub async fn get(socket: &Path, path: &str, header: &str) -> String {
        let mut stream = UnixStream::connect(socket).await.expect("connected");
        let request = format!("GET {path} HTTP/1.1\r\nHost: gantry\r\n{header}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        answer
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for child in &mut self.children {
            child.kill().expect("it runs");
            child.wait().expect("it ends");
        }
    }
}
