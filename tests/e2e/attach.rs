//! Terminals and standard input.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use gantry_tests::{Client, Node, Outcome, eventually, sides};

/// The docker client with a terminal of its own (script(1)).
fn terminal(node: &Node, arguments: &[&str]) -> Command {
    let docker = node.docker_command(&[]);
    let line = std::iter::once(docker.get_program().to_string_lossy().into_owned())
        .chain(arguments.iter().map(|argument| format!("'{argument}'")))
        .collect::<Vec<_>>()
        .join(" ");
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]);
    command.envs(docker.get_envs().filter_map(|(key, value)| Some((key, value?)))).env("TERM", "xterm");
    command
}

#[test]
fn input_ends_where_the_client_s_does() {
    let node = Node::start();
    assert_eq!(node.docker_with(&["run", "--rm", "-i", "busybox", "cat"], b"one\ntwo\n").ok(), "one\ntwo");
    let big = vec![b'x'; 5_000_000];
    assert_eq!(node.docker_with(&["run", "--rm", "-i", "busybox", "wc", "-c"], &big).ok(), "5000000");
}

#[test]
fn a_terminal_is_a_terminal() {
    let node = Node::start();
    let output =
        Outcome::of(terminal(&node, &["run", "--rm", "-it", "busybox", "sh", "-c", "tty; stty size"]), b"")
            .ok();
    assert!(output.contains("/dev/pts/0"), "{output}");
    let exec = node.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]);
    exec.ok();
    let output = Outcome::of(terminal(&node, &["exec", "-it", "box", "tty"]), b"").ok();
    assert!(output.contains("/dev/pts/"), "{output}");
}

#[test]
fn detach_keys_leave_the_container_running() {
    let node = Node::start();
    let mut command = terminal(&node, &["run", "-it", "--name", "box", "busybox", "sh"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut client = Client::start(command);
    // After the shell's prompt, the client's terminal is raw.
    let mut output = client.stdout();
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(b"# ") {
        assert_eq!(output.read(&mut byte).expect("readable"), 1, "{}", String::from_utf8_lossy(&seen));
        seen.push(byte[0]);
    }
    let mut keys = client.stdin();
    keys.write_all(b"\x10\x11").expect("typed");
    assert_eq!(client.wait().code(), Some(0));
    assert_eq!(node.docker(&["inspect", "-f", "{{.State.Running}}", "box"]).ok(), "true");
}

#[test]
fn an_interrupt_ends_the_program() {
    let node = Node::start();
    let script = "trap 'echo caught; exit 3' INT; echo up; while :; do sleep 0.05; done";
    let mut command = node.docker_command(&["run", "--rm", "busybox", "sh", "-c", script]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut client = Client::start(command);
    let mut output = client.stdout();
    let mut first = [0; 3];
    output.read_exact(&mut first).expect("the program is up");
    client.interrupt();
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("text");
    assert_eq!(rest, "caught\n");
    assert_eq!(client.wait().code(), Some(3));
}

#[test]
fn several_clients_see_the_same_output() {
    let node = Node::start();
    node.docker(&["run", "-d", "-i", "--name", "box", "busybox", "cat"]).ok();
    let mut command = node.docker_command(&["attach", "--no-stdin", "box"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut watcher = Client::start(command);
    let mut command = node.docker_command(&["attach", "box"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut writer = Client::start(command);
    let mut input = writer.stdin();
    let mut lines = BufReader::new(watcher.stdout()).lines();
    let (heard, hearing) = mpsc::channel();
    std::thread::spawn(move || heard.send(lines.next()));
    let line = eventually("what one client says, the other hears", Duration::from_secs(10), || {
        input.write_all(b"tick\n").map_err(|error| error.to_string())?;
        hearing.try_recv().map_err(|error| error.to_string())
    });
    assert_eq!(line.expect("a line").expect("text"), "tick");
    assert!(node.docker(&["logs", "box"]).ok().contains("tick"));
    node.docker(&["rm", "-f", "box"]).ok();
    watcher.wait();
    drop(input);
    writer.wait();
}

/// A WebSocket client: sends a line and a ping, and prints what arrives until the server closes.
const WEBSOCKET: &str = r#"
import os, socket, struct, sys
client = socket.socket(socket.AF_UNIX)
client.settimeout(60)
client.connect(sys.argv[1])
client.sendall(('GET /v1.51/containers/%s/attach/ws?stream=1&logs=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: d\r\n'
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n' % sys.argv[2]).encode())
stream = client.makefile('rb')
status = stream.readline().split()[1]
head = {}
while (line := stream.readline().strip()):
    name, value = line.split(b': ')
    head[name.lower()] = value
if status != b'101':
    print(status.decode(), stream.read(int(head[b'content-length'])).decode().strip())
    sys.exit()
print(head[b'upgrade'].decode(), head[b'sec-websocket-accept'].decode())
def send(opcode, payload):
    mask = b'\x05\x06\x07\x08'
    client.sendall(bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))
send(2, b'line\n')
send(9, b'still there?')
output = b''
while True:
    first, length = stream.read(2)
    if length == 126:
        length, = struct.unpack('>H', stream.read(2))
    payload = stream.read(length)
    if first == 0x8a:
        print('pong', payload.decode())
    elif first == 0x88:
        print('closed', struct.unpack('>H', payload)[0])
        break
    else:
        assert first == 0x82, first
        output += payload
print(repr(output.decode()))
"#;

#[test]
fn a_websocket_carries_input_and_output() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("websocket");
        let program = "echo out; echo err >&2; read line; echo got $line; sleep 1";
        let ask = |container: &str| {
            let mut command = Command::new("python3");
            command.args(["-c", WEBSOCKET]).arg(side.socket()).arg(container);
            let said = Outcome::of(command, b"").ok();
            said.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        side.docker(&["run", "-d", "-i", "--name", &name, "busybox", "sh", "-c", program]).ok();
        let mut said = ask(&name);
        let output = said.pop().expect("output");
        said.sort_unstable();
        let accepted = "websocket s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        assert_eq!(said, ["closed 1000", "pong still there?", accepted], "{}", side.who);
        for line in ["out\\n", "err\\n", "got line\\n"] {
            assert!(output.contains(line), "{}: {output}", side.who);
        }
        assert!(!output.contains("\\x01"), "{}: {output} has Docker's frames", side.who);
        assert_eq!(
            ask("nobody-at-all"),
            ["404 {\"message\":\"No such container: nobody-at-all\"}"],
            "{}",
            side.who
        );
        side.docker(&["rm", "-f", &name]).ok();
    }
}
