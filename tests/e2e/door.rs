//! Docker's socket outlives the gateway, and further sockets take every client.

use std::process::Command;

use gantry_tests::{Node, Outcome};

/// The output of `docker ps` on a socket with any name.
fn reached(node: &Node, socket: &std::path::Path) -> String {
    let mut command = node.docker_command(&["ps", "-q", "--no-trunc"]);
    command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
    Outcome::of(command, b"").ok()
}

#[test]
fn a_mounted_socket_goes_on_with_the_next_gateway() {
    let mut node = Node::start();
    let container = node.docker(&["run", "-d", "busybox", "sleep", "1000"]).ok();
    // The socket itself, as in a container that has mounted it: a new socket of the same name would be another one.
    let mounted = node.root().join("mounted.sock");
    std::fs::hard_link(node.socket("docker.sock"), &mounted).expect("linked");
    assert_eq!(reached(&node, &mounted), container);
    node.kill_service("gateway");
    assert_eq!(reached(&node, &mounted), container);

    node.kill_supervisor();
    assert_eq!(reached(&node, &mounted), container, "the gateway that is left listens");
    node.up();
    assert_eq!(reached(&node, &mounted), container, "a new supervisor keeps it");
    assert_eq!(reached(&node, &node.socket("docker.sock")), container);
    node.kill_service("gateway");
    assert_eq!(reached(&node, &mounted), container);
}

#[test]
fn clients_of_grpc_s_c_core_are_served() {
    const ASK: &str = "
import grpc, sys
# As the newer versions call a socket by themselves.
name = ('grpc.default_authority', sys.argv[1].replace('/', '%2F'))
channel = grpc.insecure_channel('unix:' + sys.argv[1], options=[name])
same = lambda message: message
call = channel.unary_unary(sys.argv[2], request_serializer=same, response_deserializer=same)
for attempt in range(100):
    call(b'', timeout=30, metadata=[('attempt', 'x' * attempt)])
print('served')
";
    let node = Node::empty();
    for (socket, method) in [
        ("containerd.sock", "/containerd.services.version.v1.Version/Version"),
        ("content.sock", "/grpc.health.v1.Health/Check"),
    ] {
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", ASK]).arg(node.socket(socket)).arg(method);
        assert_eq!(Outcome::of(command, b"").ok(), "served", "{socket}");
    }
}
