//! Restart policies across restarts of Gantry.

use std::time::Duration;

use gantry_tests::{Node, eventually};

fn start(node: &Node, policy: &str, name: &str) {
    let script = "trap 'exit 0' TERM; while :; do sleep 0.05; done";
    node.docker(&["run", "-d", "--restart", policy, "--name", name, "busybox", "sh", "-c", script]).ok();
}

fn inspect(node: &Node, name: &str, template: &str) -> String {
    node.docker(&["inspect", "-f", template, name]).ok()
}

fn becomes(node: &Node, name: &str, wanted: &str) {
    eventually(&format!("{name} is {wanted}"), Duration::from_secs(10), || {
        let state = inspect(node, name, "{{.State.Status}}");
        if state == wanted { Ok(()) } else { Err(state) }
    });
}

/// Waits longer than any policy's first delay.
fn stays(node: &Node, name: &str, wanted: &str) {
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(inspect(node, name, "{{.State.Status}}"), wanted, "{name}");
}

/// Under each policy: a running container, a stopped one, and one that has failed too often.
fn prepare(node: &Node) {
    for policy in ["no", "always", "unless-stopped", "on-failure:2"] {
        let name = policy.split(':').next().expect("a name");
        start(node, policy, name);
        start(node, policy, &format!("stopped-{name}"));
        node.docker(&["stop", "-t", "1", &format!("stopped-{name}")]).ok();
    }
    node.docker(&["run", "-d", "--restart", "on-failure:2", "--name", "failed", "busybox", "false"]).ok();
    eventually("two restarts", Duration::from_secs(10), || {
        let state = inspect(node, "failed", "{{.RestartCount}} {{.State.Status}}");
        if state == "2 exited" { Ok(()) } else { Err(state) }
    });
}

/// Of the stopped ones only `always` starts again; the one that has failed too often does not.
fn stopped_ones_stay_down(node: &Node) {
    becomes(node, "stopped-always", "running");
    for name in ["stopped-no", "stopped-unless-stopped", "stopped-on-failure"] {
        stays(node, name, "exited");
    }
    stays(node, "failed", "exited");
    assert_eq!(inspect(node, "failed", "{{.RestartCount}}"), "2");
}

#[test]
fn down_and_up_leave_running_containers_alone() {
    let mut node = Node::start();
    prepare(&node);
    let running = ["no", "always", "unless-stopped", "on-failure"];
    let pids = |node: &Node| running.map(|name| node.container_pid(name));
    let before = pids(&node);
    node.down(&[]);
    node.up();
    eventually("all are known", Duration::from_secs(10), || {
        let now = pids(&node);
        if now == before { Ok(()) } else { Err(format!("{now:?}")) }
    });
    stopped_ones_stay_down(&node);
}

#[test]
fn containers_that_down_stopped_come_back_by_their_policy() {
    let mut node = Node::start();
    prepare(&node);
    node.down(&["--all"]);
    node.up();
    becomes(&node, "always", "running");
    becomes(&node, "unless-stopped", "running");
    // The containers exited with success.
    stays(&node, "no", "exited");
    stays(&node, "on-failure", "exited");
    stopped_ones_stay_down(&node);
}

#[test]
fn containers_end_before_the_machine_does_and_come_back_with_it() {
    let mut node = Node::start();
    start(&node, "always", "always");
    start(&node, "no", "no");
    node.gantry(&["down", "--containers"]).ok();
    stays(&node, "always", "exited");
    stays(&node, "no", "exited");
    node.down(&[]);
    node.up();
    becomes(&node, "always", "running");
    stays(&node, "no", "exited");
}

#[test]
fn containers_that_die_with_everything_come_back_by_their_policy() {
    let mut node = Node::start();
    node.permit(&["a shim had died; its task is removed"]);
    prepare(&node);
    let victims = ["no", "always", "unless-stopped", "on-failure"];
    // With the shim: as when the host loses power. Without it: an exit that no service saw.
    for with_shim in [false, true] {
        let pids = victims.map(|name| (node.container_pid(name), node.shim(name)));
        node.kill_everything();
        for (pid, shim) in pids {
            if with_shim {
                gantry_tests::kill(shim);
            }
            gantry_tests::kill(pid);
        }
        node.up();
        for name in ["always", "unless-stopped", "on-failure"] {
            eventually(&format!("{name} runs again"), Duration::from_secs(10), || {
                let state = inspect(&node, name, "{{.State.Status}} {{.State.Pid}}");
                let old = pids.map(|(pid, _)| format!("running {pid}"));
                if state.starts_with("running") && !old.contains(&state) { Ok(()) } else { Err(state) }
            });
        }
        stays(&node, "no", "exited");
        assert_eq!(inspect(&node, "no", "{{.State.ExitCode}}"), if with_shim { "255" } else { "137" });
        stopped_ones_stay_down(&node);
        node.docker(&["start", "no"]).ok();
        node.docker(&["stop", "-t", "1", "stopped-always"]).ok();
    }
}
