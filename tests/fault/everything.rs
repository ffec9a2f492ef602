//! Everything dies in the middle of a container's life.

use std::process::Stdio;
use std::time::Duration;

use gantry_tests::Node;

#[test]
fn everything_dies_in_the_middle_of_lifecycles() {
    let mut node = Node::start();
    for delay in [5, 15, 30, 60, 120] {
        let mut client = node
            .docker_command(&["run", "--name", "box", "-v", "/scratch", "-p", "8080:80", "busybox", "true"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker starts");
        std::thread::sleep(Duration::from_millis(delay));
        node.kill_everything();
        client.wait().expect("it ends");
        node.up();
        node.docker(&["rm", "-fv", "box"]);
        assert_eq!(
            node.docker(&["run", "--rm", "--name", "box", "-p", "8080:80", "busybox", "echo", "again"]).ok(),
            "again",
            "after {delay} ms"
        );
        assert_eq!(node.docker(&["ps", "-aq"]).ok(), "", "after {delay} ms");
    }
}
