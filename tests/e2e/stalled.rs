//! Clients that do not move: what they hold, and that other clients are served.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use gantry_tests::{Node, eventually};

/// More than the slots for clients of one kind.
const MANY: usize = 150;

fn request(node: &Node, head: &str) -> UnixStream {
    let mut stream = UnixStream::connect(node.socket("docker.sock")).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
    stream.write_all(format!("{head}\r\nHost: d\r\n").as_bytes()).expect("sent");
    stream
}

/// Sends a request, and reads no response.
fn unread(node: &Node, path: &str) -> UnixStream {
    let mut stream = request(node, &format!("GET {path} HTTP/1.1"));
    stream.write_all(b"\r\n").expect("sent");
    stream
}

/// Announces a body, and sends none.
fn unsent(node: &Node, method: &str, path: &str) -> UnixStream {
    let mut stream = request(node, &format!("{method} {path} HTTP/1.1"));
    stream.write_all(b"Content-Type: application/x-tar\r\nContent-Length: 1000000\r\n\r\n").expect("sent");
    stream
}

#[test]
fn archives_that_nobody_moves_hold_up_nobody_else() {
    let node = Node::start();
    node.docker(&["create", "--name", "rest", "busybox", "true"]).ok();
    let mut stalled: Vec<UnixStream> =
        (0..MANY).map(|_| unread(&node, "/images/get?names=busybox")).collect();
    stalled.extend((0..MANY).map(|_| unsent(&node, "POST", "/images/load")));
    stalled.extend((0..MANY).map(|_| unread(&node, "/containers/rest/export")));
    let saved = node.root().join("saved.tar");
    let saved = saved.to_str().expect("a path of ours");
    node.docker(&["save", "-o", saved, "busybox"]).ok();
    assert!(node.docker(&["load", "-i", saved]).ok().contains("busybox"));
    assert_eq!(node.docker(&["run", "--rm", "busybox", "echo", "on"]).ok(), "on");
    node.docker(&["cp", "rest:/bin/busybox", saved]).ok();
}

#[test]
fn a_copy_that_stands_still_gives_way_to_a_start_and_a_removal() {
    let node = Node::start();
    node.docker(&["create", "--name", "still", "busybox", "sleep", "1000"]).ok();
    let mut stalled = unsent(&node, "PUT", "/containers/still/archive?path=/");
    eventually("the copy has the container's turn", Duration::from_secs(20), || {
        let told =
            node.docker(&["events", "--since", "0", "--until", "0s", "--filter", "event=extract-to-dir"]);
        if told.ok().is_empty() { Err("it has not begun".to_owned()) } else { Ok(()) }
    });
    node.docker(&["start", "still"]).ok();
    let mut answer = [0; 12];
    stalled.read_exact(&mut answer).expect("it is told");
    assert!(!answer.ends_with(b"200"), "{}", String::from_utf8_lossy(&answer));
    node.docker(&["rm", "-f", "still"]).ok();
}

#[test]
fn a_reader_of_events_that_does_not_read_is_dropped() {
    let node = Node::start();
    node.permit(&["a client that does not read was dropped"]);
    let mut stalled = unread(&node, "/events");
    // Large events, so that few are enough.
    let label = format!("large={}", "x".repeat(20_000));
    node.docker(&["create", "--name", "loud", "--label", &label, "busybox"]).ok();
    let reason = "a client that does not read was dropped";
    eventually("it is dropped", Duration::from_secs(60), || {
        node.docker(&["rename", "loud", "louder"]).ok();
        node.docker(&["rename", "louder", "loud"]).ok();
        if node.logs().contains(reason) { Ok(()) } else { Err("it is not".to_owned()) }
    });
    let mut text = Vec::new();
    stalled.read_to_end(&mut text).expect("it ends");
    assert!(!text.ends_with(b"0\r\n\r\n"), "as one that was cut");
    eventually("others are told", Duration::from_secs(20), || {
        let told = node.docker(&["events", "--since", "0", "--until", "0s", "--filter", "event=rename"]);
        if told.ok().is_empty() { Err("nothing".to_owned()) } else { Ok(()) }
    });
}
