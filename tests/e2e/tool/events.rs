//! Events.

use std::time::Duration;

use gantry_tests::{Node, eventually, json_lines};

use super::refused;

#[test]
fn the_past_is_narrowed_and_ends() {
    let node = Node::start();
    node.gantry(&["run", "--rm", "--name", "one", "busybox", "true"]).ok();
    node.gantry(&["run", "--rm", "--name", "two", "busybox", "true"]).ok();
    let past = |flags: &[&str]| {
        json_lines(
            &node.gantry(&[&["--json", "events", "--since", "1h", "--until", "0s"], flags].concat()).ok(),
        )
    };
    let actions = |flags: &[&str]| -> Vec<String> {
        past(flags).iter().map(|event| event["action"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let one = actions(&["--filter", "container=one"]);
    for action in ["create", "start", "die", "destroy"] {
        assert!(one.iter().any(|found| found == action), "{action}: {one:?}");
    }
    assert_eq!(actions(&["--filter", "event=die", "--filter", "type=container"]), ["die", "die"]);
    let last = past(&["--filter", "container=one"]).last().expect("events")["time"]
        .as_str()
        .expect("a time")
        .to_owned();
    let later = node
        .gantry(&["--json", "events", "--since", &last, "--until", "0s", "--filter", "event=create"])
        .ok();
    let names: Vec<_> = json_lines(&later).iter().map(|event| event["attributes"]["name"].clone()).collect();
    assert!(names.contains(&"two".into()) && !names.contains(&"one".into()), "{names:?}");
    refused(&node, &["events", "--filter", "colour=red"], 1, "invalid filter 'colour'");
    refused(&node, &["events", "--since", "yesterday"], 1, "--since: ");
    refused(&node, &["events", "--since", "0s", "--until", "1h"], 1, "--since is later than --until");
}

#[test]
fn probes_are_left_out_unless_asked_for() {
    let node = Node::start();
    let probe = ["--health-cmd", "true", "--health-interval", "100ms"];
    node.gantry(&[&["run", "-d", "--name", "box"], &probe[..], &["busybox", "sleep", "1000"]].concat()).ok();
    let past = |flags: &[&str]| {
        json_lines(
            &node.gantry(&[&["--json", "events", "--since", "1h", "--until", "0s"], flags].concat()).ok(),
        )
    };
    let execs = |flags: &[&str]| {
        let is_exec = |event: &&serde_json::Value| {
            event["action"].as_str().is_some_and(|action| action.starts_with("exec_"))
        };
        past(flags).iter().filter(is_exec).count()
    };
    eventually("a probe", Duration::from_secs(20), || match execs(&["--probes"]) {
        0..3 => Err("none yet".to_owned()),
        _ => Ok(()),
    });
    assert_eq!(execs(&[]), 0);
    node.gantry(&["exec", "box", "true"]).ok();
    assert_eq!(execs(&[]), 3, "those of a user are told: create, start, die");
    // Docker's clients get all events, as from dockerd; this client asks in whole seconds.
    eventually("docker is told", Duration::from_secs(10), || {
        let docker =
            node.docker(&["events", "--since", "1h", "--until", "0s", "--format", "{{.Action}}"]).ok();
        if docker.lines().any(|action| action.starts_with("exec_die")) { Ok(()) } else { Err(docker) }
    });
}
