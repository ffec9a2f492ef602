//! Processes that hang do not make the client hang that removes them.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use gantry_tests::{Node, Outcome};
use rustix::process::{Pid, Signal, kill_process};

/// The shim of a container, which its command line names.
fn shim_of(id: &str) -> Pid {
    let pids = fs::read_dir("/proc").expect("/proc is mounted").flatten();
    let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_shim = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split(|byte| *byte == 0).collect();
        words.contains(&&b"serve"[..]) && words.contains(&id.as_bytes())
    };
    pids.find(is_shim).and_then(Pid::from_raw).expect("it has a shim")
}

#[test]
fn a_container_whose_shim_hangs_can_be_removed() {
    let node = Node::start();
    node.permit(&[
        "a shim that does not answer is killed, with its container",
        "a shim died; its task is removed",
    ]);
    let id = node.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    kill_process(shim_of(&id), Signal::STOP).expect("it runs");
    node.docker(&["rm", "-f", "box"]).ok();
    assert_eq!(node.docker(&["ps", "-aq"]).ok(), "");
    // The name is free again.
    node.docker(&["run", "--name", "box", "busybox", "true"]).ok();
}

/// The longest time that a caller waits for a service that hangs, with the work before and after.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that is stopped until this is dropped.
struct Stopped(Pid);

impl Stopped {
    fn new(node: &Node, service: &str) -> Self {
        let pid = i32::try_from(node.pid(service)).ok().and_then(Pid::from_raw).expect("it runs");
        kill_process(pid, Signal::STOP).expect("it runs");
        Self(pid)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // The process may have ended.
        let _ = kill_process(self.0, Signal::CONT);
    }
}

#[test]
fn a_service_that_hangs_costs_its_callers_their_deadline_and_no_more() {
    let node = Node::start();
    node.permit(&[" did not answer "]);
    node.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    let docker = |arguments: &[&str]| node.docker(arguments);
    let ctr = |arguments: &[&str]| node.ctr("moby", arguments);
    // Streams and long calls end because the service does not answer PINGs; others end at their deadline, or at their
    // caller's. The call's deadline and the connection's end may come at the same time. No process stands between the
    // clients and the gateway.
    type Client<'a> = &'a dyn Fn(&[&str]) -> Outcome;
    let rows: [(&str, Client<'_>, &[&str], &str); 9] = [
        (
            "engine",
            &docker,
            &["info"],
            "service engine did not answer System/Info within 10s|service engine is away",
        ),
        ("engine", &docker, &["ps", "-a"], "service engine is away: it has not answered for 10 seconds"),
        (
            "images",
            &docker,
            &["images"],
            "service images did not answer ImageStore/List within 10s|service images is away",
        ),
        ("images", &docker, &["pull", "localhost/none"], "service images is away: it has not answered"),
        (
            "network",
            &docker,
            &["network", "ls"],
            "service network did not answer Networks/List within 10s|service network is away",
        ),
        ("tasks", &docker, &["top", "box"], "service tasks did not answer Tasks/ListPids within 9"),
        ("snapshots", &ctr, &["snapshots", "ls"], "service snapshots is away: it has not answered"),
        ("content", &ctr, &["content", "ls"], "service content is away: it has not answered"),
        ("control", &docker, &["tag", "busybox", "other"], "service control is away: it has not answered"),
    ];
    for (service, client, arguments, words) in rows {
        let stopped = Stopped::new(&node, service);
        let begun = Instant::now();
        let outcome = client(arguments);
        let waited = begun.elapsed();
        drop(stopped);
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(words.split('|').any(|words| said.contains(words)), "{service}: {outcome:#?}");
        assert!(waited < PATIENCE, "{service}: {arguments:?} took {waited:?}");
    }
    an_archive_is_cut_off(&node);
    // All of them answer again, and nothing is lost.
    node.docker(&["ps", "-q", "--filter", "name=box"]).ok();
    node.docker(&["run", "--rm", "busybox", "true"]).ok();
    node.docker(&["rm", "-f", "box"]).ok();
}

/// An archive whose sender hangs in the middle is broken off, and not taken for the whole.
fn an_archive_is_cut_off(node: &Node) {
    let mut docker = UnixStream::connect(node.socket("docker.sock")).expect("it listens");
    docker.set_read_timeout(Some(PATIENCE)).expect("set");
    docker.write_all(b"GET /v1.51/images/busybox/get HTTP/1.1\r\nHost: docker\r\n\r\n").expect("asked");
    // The image is larger than what the sockets on the way hold.
    docker.read_exact(&mut [0; 1000]).expect("a beginning");
    let stopped = Stopped::new(node, "images");
    let mut rest = Vec::new();
    let read = docker.read_to_end(&mut rest);
    drop(stopped);
    // The connection ends, and the last chunk of the body, which is empty, never came.
    assert!(read.is_ok() && !rest.ends_with(b"\r\n0\r\n\r\n"), "{read:?}, {} bytes", rest.len());
}
