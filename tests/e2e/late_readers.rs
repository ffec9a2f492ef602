//! Clients that read output late: none of it is lost, and nothing else waits for them.

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use gantry_tests::{Client, Node, eventually, sides};

/// Longer than any timeout.
const LATE: Duration = Duration::from_secs(12);

/// A client whose output is not read yet.
fn unread(mut command: std::process::Command) -> Client {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    Client::start(command)
}

/// Reads all of a client's output with pauses. Returns the number of its lines, which are all `0123456789`.
fn lines(mut client: Client) -> usize {
    let (mut output, mut part) = (client.stdout(), vec![0; 1 << 20]);
    let (mut bytes, mut read) = (Vec::new(), 1);
    while read > 0 {
        read = output.read(&mut part).expect("readable");
        bytes.extend_from_slice(&part[..read]);
        if bytes.len() % (4 << 20) < read {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    assert!(client.wait().success());
    assert!(bytes.chunks(11).all(|line| line == b"0123456789\n"), "some bytes are missing, or not in order");
    bytes.len() / 11
}

#[test]
fn a_reader_that_is_late_or_slow_gets_every_byte() {
    let node = Node::start();
    let script = |lines: usize| format!("yes 0123456789 | head -n {lines}");
    for side in sides(&node) {
        let name = side.name("box");
        side.docker(&["run", "-d", "--name", &name, "busybox", "sleep", "1000"]).ok();
        let many = script(700_000);
        let exec = unread(side.docker_command(&["exec", &name, "sh", "-c", &many]));
        let run = unread(side.docker_command(&["run", "--rm", "busybox", "sh", "-c", &many]));
        std::thread::sleep(LATE);
        let exec = std::thread::spawn(move || lines(exec));
        assert_eq!((lines(run), exec.join().expect("joined")), (700_000, 700_000), "{}", side.who);
        side.docker(&["rm", "-f", &name]).ok();
    }
}

#[test]
fn the_last_words_of_a_removed_container_wait_for_their_reader() {
    let node = Node::start();
    // More than a client and its connection hold, less than makes the program wait.
    let name = "box";
    let script = "yes 0123456789 | head -n 100000";
    let client = unread(node.docker_command(&["run", "--rm", "--name", name, "busybox", "sh", "-c", script]));
    eventually("it has run and is gone", Duration::from_secs(30), || {
        let events = [
            "events",
            "--since",
            "100s",
            "--until",
            "0s",
            "--filter",
            "event=destroy",
            "-f",
            "container=box",
        ];
        match node.docker(&events).ok().as_str() {
            "" => Err("it is there".to_owned()),
            _ => Ok(()),
        }
    });
    // The name is free, and the next container of the name is not disturbed.
    node.docker(&["run", "--name", name, "busybox", "true"]).ok();
    let begun = Instant::now();
    while begun.elapsed() < LATE {
        assert_eq!(node.docker(&["ps", "-a", "--format", "{{.Names}}"]).ok(), name);
        std::thread::sleep(Duration::from_secs(1));
    }
    assert_eq!(lines(client), 100_000);
}
