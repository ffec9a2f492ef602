//! Each service is killed during each operation: the operation can be repeated, and leaves nothing behind.

use std::time::Duration;

use gantry_tests::{Node, eventually};

/// How many milliseconds after an operation began a service is killed.
const MOMENTS: [u64; 3] = [5, 30, 80];

const RUN: [&str; 9] = ["run", "-d", "--name", "box", "-v", "/scratch", "-p", "8080:80", "busybox"];
const SLEEP: [&str; 2] = ["sleep", "1000"];

/// Kills each service during the operation. `prepare` runs before it, `check` after the services are up again.
fn kill_each_during(node: &Node, operation: &[&str], prepare: impl Fn(&Node), check: impl Fn(&Node, &str)) {
    for moment in MOMENTS {
        for service in gantry_descriptor::names() {
            prepare(node);
            let client = node.docker_started(operation);
            std::thread::sleep(Duration::from_millis(moment));
            node.kill_service(service);
            client.wait();
            check(node, &format!("{service} dies after {moment} ms"));
            clear(node, &format!("{service} dies after {moment} ms"));
        }
    }
}

/// Removes the container, if it exists, and checks what it has left.
fn clear(node: &Node, when: &str) {
    node.docker(&["rm", "-fv", "box"]);
    assert_eq!(node.docker(&["ps", "-aq"]).ok(), "", "{when}");
    assert_eq!(node.docker(&["volume", "ls", "-q"]).ok(), "", "{when}");
    eventually(&format!("fsck is content: {when}"), Duration::from_secs(10), || {
        let fsck = node.gantry(&["fsck"]);
        if fsck.code == 0 { Ok(()) } else { Err(fsck.stdout + &fsck.stderr) }
    });
}

fn run(node: &Node) {
    node.docker(&[&RUN[..], &SLEEP[..]].concat()).ok();
}

fn state(node: &Node) -> String {
    node.docker(&["inspect", "-f", "{{.State.Status}}", "box"]).ok()
}

#[test]
fn create_and_start() {
    let node = Node::start();
    let arguments = [&RUN[..], &SLEEP[..]].concat();
    kill_each_during(
        &node,
        &arguments,
        |_| {},
        |node, when| {
            node.docker(&["rm", "-fv", "box"]);
            let again = node.docker(&arguments);
            assert_eq!(again.code, 0, "{when}: {again:#?}");
            assert_eq!(state(node), "running", "{when}");
        },
    );
}

#[test]
fn start() {
    let node = Node::start();
    kill_each_during(
        &node,
        &["start", "box"],
        |node| {
            let create = [&["create"], &RUN[2..], &SLEEP[..]].concat();
            node.docker(&create).ok();
        },
        |node, when| {
            let again = node.docker(&["start", "box"]);
            assert_eq!(again.code, 0, "{when}: {again:#?}");
            assert_eq!(state(node), "running", "{when}");
            assert_eq!(node.docker(&["exec", "box", "echo", "alive"]).ok(), "alive", "{when}");
        },
    );
}

#[test]
fn stop() {
    let node = Node::start();
    kill_each_during(
        &node,
        &["stop", "-t", "1", "box"],
        |node| {
            let script = "trap 'sleep 0.1; exit 5' TERM; touch /ready; while :; do sleep 0.02; done";
            node.docker(&[&RUN[..], &["sh", "-c", script]].concat()).ok();
            eventually("the trap is set", Duration::from_secs(5), || {
                match node.docker(&["exec", "box", "ls", "/ready"]).code {
                    0 => Ok(()),
                    code => Err(code.to_string()),
                }
            });
        },
        |node, when| {
            let again = node.docker(&["stop", "-t", "2", "box"]);
            assert_eq!(again.code, 0, "{when}: {again:#?}");
            assert_eq!(state(node), "exited", "{when}");
            let code = node.docker(&["wait", "box"]).ok();
            // By its trap, or by a signal during the trap.
            assert!(["5", "137", "143"].contains(&code.as_str()), "{when}: {code}");
        },
    );
}

#[test]
fn remove() {
    let node = Node::start();
    kill_each_during(&node, &["rm", "-fv", "box"], run, |node, when| {
        let again = node.docker(&["rm", "-fv", "box"]);
        assert!(again.code == 0 || again.stderr.contains("No such container"), "{when}: {again:#?}");
        // The name and the port are free.
        run(node);
    });
}
