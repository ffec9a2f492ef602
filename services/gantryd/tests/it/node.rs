//! Some services, in a temporary root.

use std::path::PathBuf;
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
        let root = TempDir::with_prefix_in("gantryd-", "/dev/shm").expect("a temporary root");
        let mut node = Self { root, children: Vec::new() };
        for service in services {
            let mut command = Command::new(env!("CARGO_BIN_EXE_gantryd"));
            command.arg(service).arg("--root").arg(node.root.path()).envs(environment.iter().copied());
            node.children.push(command.spawn().expect("gantryd starts"));
        }
        let deadline = Instant::now() + Duration::from_secs(30);
        for service in services {
            while UnixStream::connect(node.socket(&format!("{service}.sock"))).await.is_err() {
                assert!(Instant::now() < deadline, "{service} does not serve");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        node
    }

    pub fn socket(&self, name: &str) -> PathBuf {
        self.root.path().join("run").join(name)
    }

    /// One HTTP/1 request to a socket; the whole answer.
    pub async fn get(&self, socket: &str, path: &str, header: &str) -> String {
        let mut stream = UnixStream::connect(self.socket(socket)).await.expect("connected");
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
