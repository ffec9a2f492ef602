//! Wait, attach, signals, removal, restart.

use std::time::Duration;

use gantry_tests::{Node, Side, eventually, sides};

fn state(side: &Side, name: &str) -> String {
    side.docker(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name]).ok()
}

#[test]
fn each_end_is_told_though_the_policy_starts_it_again() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("again");
        let script = "sleep 0.5; exit 3";
        side.docker(&["run", "-d", "--name", &name, "--restart", "always", "busybox", "sh", "-c", script])
            .ok();
        assert_eq!(side.docker(&["wait", &name]).ok(), "3", "{}", side.who);
        for condition in ["not-running", "next-exit"] {
            let path = format!("/containers/{name}/wait?condition={condition}");
            let (status, answer) = side.api("POST", &path, "");
            assert_eq!((status, answer["StatusCode"].as_i64()), (200, Some(3)), "{} {condition}", side.who);
        }
        // Attaching is refused between two runs.
        eventually("it is attached to", Duration::from_secs(30), || {
            match side.docker(&["attach", "--no-stdin", &name]).code {
                3 => Ok(()),
                code => Err(format!("{}: {code}", side.who)),
            }
        });
        side.docker(&["rm", "-f", &name]).ok();
    }
}

#[test]
fn signals_have_many_names() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("signals");
        // In the host's PID namespace, where a first process is not protected from signals.
        for (signal, code) in [
            ("KILL", 137),
            ("SIGKILL", 137),
            ("sigterm", 143),
            ("15", 143),
            ("015", 143),
            ("IOT", 134),
            ("RTMIN", 162),
            ("SIGRTMIN+15", 177),
            ("RTMAX-14", 178),
            ("rtmax", 192),
            ("64", 192),
        ] {
            side.docker(&["run", "-d", "--name", &name, "--pid", "host", "busybox", "sleep", "1000"]).ok();
            side.docker(&["kill", "-s", signal, &name]).ok();
            eventually("it ends", Duration::from_secs(20), || match state(&side, &name) {
                ended if ended == format!("exited {code}") => Ok(()),
                other => Err(format!("{}: {signal}: {other}", side.who)),
            });
            side.docker(&["rm", &name]).ok();
        }
        side.docker(&["run", "-d", "--name", &name, "busybox", "sleep", "1000"]).ok();
        let unsupported = "the linux daemon does not support signal ";
        for (signal, words) in [
            ("0", "invalid signal: 0"),
            ("-1", unsupported),
            ("32", unsupported),
            ("33", unsupported),
            ("65", unsupported),
            ("9999999999", unsupported),
            ("1.5", "invalid signal: 1.5"),
            ("FOO", "invalid signal: FOO"),
            ("SIG", "invalid signal: SIG"),
            ("RTMIN%2B0", "invalid signal: RTMIN+0"),
            ("RTMIN%2B16", "invalid signal: RTMIN+16"),
            ("RTMAX-15", "invalid signal: RTMAX-15"),
        ] {
            let (status, answer) = side.api("POST", &format!("/containers/{name}/kill?signal={signal}"), "");
            let said = answer["message"].as_str().unwrap_or_default();
            let words = format!("cannot kill container: {name}: {words}");
            assert!(status == 400 && said.starts_with(&words), "{}: {signal}: {status} {said}", side.who);
        }
        assert_eq!(state(&side, &name), "running 0", "{}", side.who);
        side.docker(&["rm", "-f", &name]).ok();
        let (status, answer) = side.api("POST", "/containers/no-such/kill", "");
        let said = answer["message"].as_str().unwrap_or_default();
        assert_eq!((status, said), (404, "cannot kill container: no-such: No such container: no-such"));
    }
}

#[test]
fn what_does_not_fit_the_state_is_refused_in_words() {
    let node = Node::start();
    for side in sides(&node) {
        let (up, made) = (side.name("up"), side.name("made"));
        side.docker(&["run", "-d", "--name", &up, "busybox", "sleep", "1000"]).ok();
        side.docker(&["create", "--name", &made, "busybox"]).ok();
        side.docker(&["pause", &up]).ok();
        let id = side.docker(&["inspect", "-f", "{{.Id}}", &up]).ok();
        for (method, path, status, words) in [
            ("POST", "UP/pause", 409, format!("Container {id} is already paused")),
            ("POST", "UP/start", 409, "cannot start a paused container, try unpause instead".to_owned()),
            (
                "POST",
                "UP/attach?stream=1&stdout=1",
                409,
                "is paused, unpause the container before attach".to_owned(),
            ),
            (
                "DELETE",
                "UP",
                409,
                format!("cannot remove container \"{up}\": container is paused and must be unpaused first"),
            ),
            ("POST", "MADE/pause", 409, "is not running".to_owned()),
            ("POST", "MADE/unpause", 500, "is not paused".to_owned()),
            ("POST", "MADE/kill", 409, format!("cannot kill container: {made}: container ")),
            ("POST", "MADE/stop?signal=0", 304, String::new()),
            ("GET", "MADE/top", 409, "is not running".to_owned()),
            ("POST", "no-such/pause", 404, "No such container: no-such".to_owned()),
            ("DELETE", "no-such?force=1", 404, "No such container: no-such".to_owned()),
            ("POST", "UP/wait?condition=bogus", 400, "invalid condition: \"bogus\"".to_owned()),
        ] {
            let path = path.replace("UP", &up).replace("MADE", &made);
            let (was, answer) = side.api(method, &format!("/containers/{path}"), "");
            // The body of a raw stream is not JSON.
            let said = answer["message"].as_str().or(answer.as_str()).unwrap_or_default();
            assert!(was == status && said.contains(&words), "{}: {method} {path}: {was} {said}", side.who);
        }
        side.docker(&["unpause", &up]).ok();
        let (status, answer) = side.api("DELETE", &format!("/containers/{up}"), "");
        let words = format!(
            "cannot remove container \"{up}\": container is running: stop the container before removing or force remove"
        );
        assert_eq!((status, answer["message"].as_str()), (409, Some(words.as_str())), "{}", side.who);
        side.docker(&["rm", "-f", &up, &made]).ok();
    }
}

#[test]
fn a_container_that_goes_at_its_end_stays_over_a_restart() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("restarted");
        side.docker(&["run", "-d", "--rm", "--name", &name, "busybox", "sleep", "1000"]).ok();
        for _ in 0..5 {
            side.docker(&["restart", "-t", "0", &name]).ok();
            assert_eq!(state(&side, &name), "running 0", "{}", side.who);
        }
        side.docker(&["rm", "-f", &name]).ok();
    }
}

#[test]
fn a_start_that_fails_leaves_it_created() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("failed");
        side.docker(&["run", "--name", &name, "busybox", "no-such-program"]).fails(127);
        assert_eq!(state(&side, &name), "created 127", "{}", side.who);
        let mine = format!("name={name}");
        let shown = side.docker(&["ps", "-a", "-f", &mine, "--format", "{{.Status}}"]).ok();
        assert_eq!(shown, "Created", "{}", side.who);
        let times = side.docker(&["inspect", "-f", "{{.State.StartedAt}} {{.State.FinishedAt}}", &name]).ok();
        assert_eq!(times, "0001-01-01T00:00:00Z 0001-01-01T00:00:00Z", "{}", side.who);
        assert_eq!(side.docker(&["wait", &name]).ok(), "127", "{}", side.who);
        let said = side.docker(&["restart", &name]).fails(1);
        assert!(said.contains(&format!("Cannot restart container {name}: ")), "{}: {said}", side.who);
        side.docker(&["rm", &name]).ok();
    }
}
