//! Containers while services die: they run on, and the services learn later what happened.

use std::time::Duration;

use gantry_tests::{Node, eventually};

fn counts(node: &Node, container: &str) -> Vec<u64> {
    node.docker(&["logs", container]).ok().lines().filter_map(|line| line.parse().ok()).collect()
}

#[test]
fn a_container_does_not_notice_the_death_of_any_service() {
    let mut node = Node::start();
    let script = "(while :; do echo -e 'HTTP/1.0 200 OK\\r\\n\\r\\nhi' | nc -l -p 80 >/dev/null; done) & \
                  i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done";
    node.docker(&["run", "-d", "--name", "box", "-p", "8080:80", "busybox", "sh", "-c", script]).ok();
    let pid = node.docker(&["inspect", "-f", "{{.State.Pid}}", "box"]).ok();
    let answers = |node: &Node, when: &str| {
        eventually(&format!("the port answers {when}"), Duration::from_secs(5), || {
            let outcome = node.exec(&["curl", "-s", "-m", "1", "http://127.0.0.1:8080/"]);
            if outcome.stdout.trim() == "hi" { Ok(()) } else { Err(format!("{outcome:?}")) }
        });
    };
    answers(&node, "at first");
    for service in gantry_descriptor::names() {
        node.kill_service(service);
        answers(&node, &format!("after the death of {service}"));
        assert_eq!(
            node.docker(&["inspect", "-f", "{{.State.Status}} {{.State.Pid}}", "box"]).ok(),
            format!("running {pid}"),
            "{service}"
        );
        assert_eq!(node.docker(&["exec", "box", "echo", "alive"]).ok(), "alive", "{service}");
    }
    node.kill_everything();
    assert!(gantry_tests::runs(pid.parse().expect("a pid")), "the container goes on");
    node.up();
    answers(&node, "after the death of all");
    assert_eq!(node.docker(&["inspect", "-f", "{{.State.Pid}}", "box"]).ok(), pid);
    let before = counts(&node, "box").len();
    eventually("the log goes on", Duration::from_secs(5), || {
        let now = counts(&node, "box").len();
        if now > before { Ok(()) } else { Err(format!("{now} lines")) }
    });
    node.docker(&["stop", "-t", "0", "box"]).ok();
    let lines = counts(&node, "box");
    assert!(lines.iter().copied().eq(0..lines.len() as u64), "lines were lost or doubled");
}

#[test]
fn an_exit_while_everything_is_dead_is_known_afterwards() {
    let mut node = Node::start();
    let script = "while [ ! -e /go ]; do sleep 0.05; done; exit 23";
    node.docker(&["run", "-d", "--name", "box", "busybox", "sh", "-c", script]).ok();
    let pid = node.docker(&["inspect", "-f", "{{.State.Pid}}", "box"]).ok();
    node.kill_everything();
    std::fs::write(format!("/proc/{pid}/root/go"), "").expect("the container's root is there");
    eventually("the program ends", Duration::from_secs(5), || {
        let ended = !std::path::Path::new("/proc").join(&pid).join("root/go").exists();
        if ended { Ok(()) } else { Err("it runs".to_owned()) }
    });
    node.up();
    eventually("the exit code is known", Duration::from_secs(10), || {
        let state = node.docker(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "box"]).ok();
        if state == "exited 23" { Ok(()) } else { Err(state) }
    });
}
