//! From create to remove: states, exit codes, restarts.

use std::time::Duration;

use gantry_tests::{Node, eventually};

fn inspect(node: &Node, container: &str, template: &str) -> String {
    node.docker(&["inspect", "-f", template, container]).ok()
}

#[test]
fn hello_is_printed_and_the_container_is_gone() {
    let node = Node::start();
    assert_eq!(node.docker(&["run", "--rm", "busybox", "echo", "hello"]).ok(), "hello");
    assert_eq!(node.docker(&["ps", "-aq"]).ok(), "");
}

#[test]
fn the_newest_client_works_too() {
    // The newest docker client on the host, beside Debian's 20.10.
    let newest = std::env::split_paths(&std::env::var_os("PATH").expect("a PATH"))
        .map(|folder| folder.join("docker"))
        .find(|path| path.is_file());
    let mut node = Node::start();
    if let Some(newest) = newest {
        node = node.with_docker(newest);
    }
    assert_eq!(node.docker(&["run", "--rm", "busybox", "echo", "hello"]).ok(), "hello");
    let version = node.docker(&["version", "-f", "{{.Server.APIVersion}}"]).ok();
    assert_eq!(version, "1.51");
}

#[test]
fn exit_codes_are_the_program_s_and_docker_s_own() {
    let node = Node::start();
    assert_eq!(node.docker(&["run", "--rm", "busybox", "sh", "-c", "exit 42"]).code, 42);
    node.docker(&["run", "--rm", "busybox", "no-such-program"]).fails(127);
    node.docker(&["run", "--rm", "busybox", "/etc/passwd"]).fails(126);
    node.docker(&["run", "--rm", "--network", "no-such-network", "busybox", "true"]).fails(125);
    node.docker(&["run", "--rm", "busybox", "sh", "-c", "sh -c 'kill -9 $$'; exit $?"]).fails(137);
}

#[test]
fn states_follow_the_commands() {
    let node = Node::start();
    node.docker(&["create", "--name", "box", "busybox", "sleep", "1000"]).ok();
    assert_eq!(inspect(&node, "box", "{{.State.Status}}"), "created");
    node.docker(&["start", "box"]).ok();
    assert_eq!(inspect(&node, "box", "{{.State.Status}} {{.State.Running}}"), "running true");
    node.docker(&["pause", "box"]).ok();
    assert_eq!(inspect(&node, "box", "{{.State.Status}}"), "paused");
    node.docker(&["unpause", "box"]).ok();
    assert_eq!(inspect(&node, "box", "{{.State.Status}}"), "running");
    node.docker(&["restart", "-t", "0", "box"]).ok();
    assert_eq!(inspect(&node, "box", "{{.State.Status}}"), "running");
    node.docker(&["kill", "box"]).ok();
    node.docker(&["wait", "box"]).ok();
    assert_eq!(inspect(&node, "box", "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
    node.docker(&["start", "box"]).ok();
    node.docker(&["stop", "-t", "0", "box"]).ok();
    node.docker(&["rename", "box", "other"]).ok();
    node.docker(&["rm", "other"]).ok();
    assert!(node.docker(&["inspect", "other"]).fails(1).contains("No such object: other"));
}

#[test]
fn a_running_container_is_only_removed_by_force() {
    let node = Node::start();
    node.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    node.docker(&["rm", "box"]).fails(1);
    node.docker(&["rm", "-f", "box"]).ok();
    assert_eq!(node.docker(&["ps", "-aq"]).ok(), "");
}

#[test]
fn stop_signals_reach_the_program() {
    let node = Node::start();
    let script = "trap 'echo bye; exit 7' USR1; while :; do sleep 0.05; done";
    node.docker(&["run", "-d", "--name", "box", "--stop-signal", "USR1", "busybox", "sh", "-c", script]).ok();
    node.docker(&["stop", "box"]).ok();
    assert_eq!(inspect(&node, "box", "{{.State.ExitCode}}"), "7");
    assert_eq!(node.docker(&["logs", "box"]).ok(), "bye");
}

#[test]
fn names_are_unique() {
    let node = Node::start();
    let id = node.docker(&["create", "--name", "box", "busybox"]).ok();
    let complaint = node.docker(&["create", "--name", "box", "busybox"]).fails(1);
    assert!(complaint.contains(&format!("is already in use by container \"{id}\"")), "{complaint}");
}

#[test]
fn restart_policies_bring_containers_back() {
    let node = Node::start();
    node.docker(&[
        "run",
        "-d",
        "--name",
        "failing",
        "--restart",
        "on-failure:2",
        "busybox",
        "sh",
        "-c",
        "exit 3",
    ])
    .ok();
    eventually("two restarts", Duration::from_secs(60), || {
        let state = inspect(&node, "failing", "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}");
        if state == "2 exited 3" { Ok(()) } else { Err(state) }
    });
    node.docker(&["run", "-d", "--name", "first", "--restart", "always", "busybox", "sleep", "0.2"]).ok();
    eventually("a restart", Duration::from_secs(60), || {
        let count = inspect(&node, "first", "{{.RestartCount}}");
        if count.parse::<u32>().unwrap_or(0) >= 1 { Ok(()) } else { Err(count) }
    });
    node.docker(&["stop", "-t", "0", "first"]).ok();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(inspect(&node, "first", "{{.State.Running}}"), "false");
}

#[test]
fn lists_are_filtered() {
    let node = Node::start();
    node.docker(&["run", "-d", "--name", "one", "-l", "kind=a", "busybox", "sleep", "1000"]).ok();
    node.docker(&["create", "--name", "two", "-l", "kind=b", "busybox"]).ok();
    let names = |filter: &str| {
        let list = node.docker(&["ps", "-a", "--format", "{{.Names}}", "--filter", filter]).ok();
        list.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names("label=kind=a"), ["one"]);
    assert_eq!(names("status=created"), ["two"]);
    assert_eq!(names("name=t"), ["two"]);
    assert_eq!(names("ancestor=busybox").len(), 2);
    assert_eq!(node.docker(&["ps", "-q"]).ok().lines().count(), 1);
    node.docker(&["ps", "--filter", "no-such-filter=1"]).fails(1);
}

#[test]
fn events_tell_the_story() {
    let node = Node::start();
    let since = node.exec(&["date", "+%s"]).ok();
    node.docker(&["run", "--rm", "--name", "box", "busybox", "true"]).ok();
    let format = "{{.Action}}";
    let story = eventually("the container's story", Duration::from_secs(5), || {
        let until = node.exec(&["date", "+%s.%N"]).ok();
        let arguments =
            ["events", "--since", &since, "--until", &until, "--filter", "container=box", "--format", format];
        let story = node.docker(&arguments).ok();
        if story.ends_with("destroy") { Ok(story) } else { Err(story) }
    });
    let story: Vec<_> = story.lines().filter(|action| *action != "attach").collect();
    assert_eq!(story, ["create", "start", "die", "destroy"]);
}

#[test]
fn processes_and_usage_are_shown() {
    let node = Node::start();
    node.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    assert!(node.docker(&["top", "box"]).ok().contains("sleep 1000"));
    let stats = node.docker(&["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", "box"]).ok();
    assert_eq!(stats, "box 1");
}

#[test]
fn a_missing_container_is_named() {
    let node = Node::empty();
    for command in ["start", "stop", "kill", "rm", "logs", "pause"] {
        let complaint = node.docker(&[command, "nobody"]).fails(1);
        assert!(complaint.contains("No such container: nobody"), "{command}: {complaint}");
    }
}

#[test]
fn info_and_version_answer() {
    let node = Node::empty();
    assert!(node.docker(&["info"]).ok().contains("Storage Driver: overlayfs"));
    assert!(node.docker(&["version"]).ok().contains("Engine"));
    assert!(node.docker(&["system", "df"]).ok().contains("Local Volumes"));
}
