//! Docker's socket, handed over by systemd (sd_listen_fds(3)).

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use crate::node::Node;

#[tokio::test]
async fn a_socket_that_was_handed_over_is_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("docker.sock");
    let listener = UnixListener::bind(&path).expect("bound");
    let mut command = Command::new("sh");
    let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" gateway --root \"$1\"";
    command.args(["-c", script, env!("CARGO_BIN_EXE_gantryd")]);
    command.stdin(Stdio::from(OwnedFd::from(listener)));
    let mut node = Node::empty();
    command.arg(node.root());
    node.spawn(command);
    node.serving("gateway").await;

    let answer = Node::get(&path, "/_ping", "Accept: */*").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(!node.socket("docker.sock").exists(), "one door is enough");
}
