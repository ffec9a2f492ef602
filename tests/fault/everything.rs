//! Everything is killed in the middle of a container's life.

use std::time::Duration;

use gantry_tests::Node;

#[test]
fn everything_dies_in_the_middle_of_lifecycles() {
    let mut node = Node::start();
    for delay in [5, 15, 30, 60, 120] {
        let client = node
            .docker_started(&["run", "--name", "box", "-v", "/scratch", "-p", "8080:80", "busybox", "true"]);
        std::thread::sleep(Duration::from_millis(delay));
        node.kill_everything();
        client.wait();
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
