//! Clients get errors, whatever they are sending at the time.

use std::process::Command;

use gantry_tests::{Node, Outcome, sides};

/// More than all buffers between client and server hold.
const LARGE: u64 = 64 << 20;

#[test]
fn an_early_error_reaches_who_still_sends() {
    let node = Node::start();
    let large = node.root().join("large");
    std::fs::File::create(&large).and_then(|file| file.set_len(LARGE)).expect("a file");
    let path = large.to_str().expect("a path of ours");
    let lost = |complaint: &str| complaint.contains("broken pipe") || complaint.contains("reset by peer");
    for side in sides(&node) {
        let name = side.name("target");
        side.docker(&["create", "--name", &name, "busybox", "true"]).ok();
        for target in ["/no/such/folder/x", "/bin/busybox/x"] {
            let complaint = side.docker(&["cp", path, &format!("{name}:{target}")]).fails(1);
            assert!(!lost(&complaint), "{}: {complaint}", side.who);
        }
        side.docker(&["rm", &name]).ok();
    }
    // A client that reads nothing before it has sent everything. The reference closes its connection.
    node.docker(&["create", "--name", "target", "busybox", "true"]).ok();
    for (target, status) in [("target/archive?path=/no", "404"), ("target/archive?path=/bin/busybox", "400")]
    {
        let mut sends = Command::new("python3");
        sends.args(["-c", SENDS_FIRST]).arg(node.socket("docker.sock")).arg(&large);
        sends.arg(format!("/containers/{target}"));
        assert_eq!(Outcome::of(sends, b"").ok(), status, "{target}");
    }
    std::fs::write(&large, vec![b'x'; LARGE as usize]).expect("written");
    let complaint = node.docker(&["load", "-i", path]).fails(1);
    assert!(complaint.contains("no readable tar") && !lost(&complaint), "{complaint}");
}

const SENDS_FIRST: &str = "
import socket, sys
body = open(sys.argv[2], 'rb').read()
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
client.sendall(b'PUT %s HTTP/1.1\\r\\nHost: d\\r\\nContent-Length: %d\\r\\n\\r\\n' % (sys.argv[3].encode(), len(body)))
client.sendall(body)
print(client.recv(12).split()[1].decode())
";

#[test]
fn a_log_whose_engine_dies_is_whole_or_visibly_cut() {
    let node = Node::start();
    let lines = "i=0; while [ $i -lt 200000 ]; do echo line $i; i=$((i+1)); done";
    node.docker(&[
        "run",
        "-d",
        "--name",
        "rotated",
        "--log-opt",
        "max-size=100m",
        "busybox",
        "sh",
        "-c",
        lines,
    ])
    .ok();
    node.docker(&["wait", "rotated"]).ok();
    let mut reading = node.docker_command(&["logs", "rotated"]);
    reading.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut reading = gantry_tests::Client::start(reading);
    let mut output = std::io::BufReader::new(reading.stdout());
    let mut errors = reading.stderr();
    let mut first = String::new();
    std::io::BufRead::read_line(&mut output, &mut first).expect("a line");
    assert_eq!(first, "line 0\n");
    node.kill_service("engine");
    let rest = std::thread::spawn(move || {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut output, &mut text).expect("read");
        text
    });
    let mut complaint = String::new();
    std::io::Read::read_to_string(&mut errors, &mut complaint).expect("read");
    let (status, rest) = (reading.wait(), rest.join().expect("read"));
    let whole = rest.lines().count() == 199_999;
    assert_eq!(status.success(), whole, "{} lines, {complaint}", rest.lines().count());
}
