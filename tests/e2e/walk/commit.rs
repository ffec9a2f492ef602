//! `docker commit`: an image of a container.

use std::process::Command;
use std::time::Duration;

use gantry_tests::{Node, Outcome, eventually, sides};

#[test]
fn an_image_has_what_the_container_changed_and_says_how_it_was_made() {
    let node = Node::start();
    for side in sides(&node) {
        let (name, image) = (side.name("source"), side.name("image"));
        let script =
            "mkdir /new; echo content >/new/file; rm /etc/group; chmod 700 /home; touch /ready; sleep 1000";
        let options = ["-e", "FIRST=1", "-l", "from=container", "-v", "/volume"];
        let command = ["busybox", "sh", "-c", script];
        side.docker(&[&["run", "-d", "--name", &name], &options[..], &command].concat()).ok();
        until_ready(&|arguments| side.docker(arguments).code, &name);
        let changes = ["-c", "ENV SECOND=2", "-c", "CMD [\"cat\", \"/new/file\"]", "-c", "LABEL more=label"];
        let made = side.docker(
            &[&["commit", "-a", "An Author", "-m", "a message"], &changes[..], &[&name, &image]].concat(),
        );
        assert!(made.ok().starts_with("sha256:"), "{}", side.who);
        let state = side.docker(&["inspect", "-f", "{{.State.Status}}", &name]).ok();
        assert_eq!(state, "running", "{}: it is thawed", side.who);

        assert_eq!(side.docker(&["run", "--rm", &image]).ok(), "content", "{}", side.who);
        let script = "ls /etc/group 2>/dev/null; stat -c %a /home; echo $FIRST $SECOND; ls -d /volume";
        let seen = side.docker(&["run", "--rm", &image, "sh", "-c", script]).ok();
        assert_eq!(seen, "700\n1 2\n/volume", "{}", side.who);
        let template =
            "{{.Author}}|{{.Comment}}|{{index .Config.Labels \"from\"}}|{{index .Config.Labels \"more\"}}";
        let shown = side.docker(&["image", "inspect", "-f", template, &image]).ok();
        assert_eq!(shown, "An Author|a message|container|label", "{}", side.who);
        let history = side.docker(&["history", "--format", "{{.Comment}}", &image]).ok();
        assert_eq!(history.lines().next(), Some("a message"), "{}", side.who);
        side.docker(&["rm", "-fv", &name]).ok();
        assert_eq!(side.docker(&["run", "--rm", &image]).ok(), "content", "{}: without its source", side.who);
        side.docker(&["rmi", &image]).ok();
    }
}

#[test]
fn what_cannot_be_committed_is_refused() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("still");
        side.docker(&["create", "--name", &name, "busybox"]).ok();
        let digest = format!("xx@sha256:{:064}", 0);
        for (parameter, value, status, words) in [
            ("container", "no-such", 404, "No such container: no-such"),
            (
                "repo",
                "Upper",
                400,
                "invalid reference format: repository name (library/Upper) must be lowercase",
            ),
            ("repo", "xx&tag=b%20d", 400, "invalid tag format"),
            ("repo", &digest, 400, "cannot import digest reference"),
            ("changes", "NONSENSE%201", 400, "NONSENSE is not a valid change command"),
            ("changes", "HEALTHCHECK%20CMD", 400, "Missing command after HEALTHCHECK CMD"),
            ("changes", "EXPOSE%2080/x", 400, "Invalid proto: x"),
            (
                "changes",
                "ENV%20A=%22open",
                400,
                "failed to process \"\\\"open\": unexpected end of statement while looking for matching double-quote",
            ),
        ] {
            let container =
                if parameter == "container" { String::new() } else { format!("container={name}&") };
            let (was, answer) = side.api("POST", &format!("/commit?{container}{parameter}={value}"), "");
            let said = answer["message"].as_str().unwrap_or_default();
            assert!(was == status && said == words, "{}: {parameter}={value}: {was} {said}", side.who);
        }
        // A container that never ran, and an image without a name.
        let id = side.docker(&["commit", &name]).ok();
        assert_eq!(side.docker(&["run", "--rm", &id, "echo", "runs"]).ok(), "runs", "{}", side.who);
        side.docker(&["rm", &name]).ok();
        side.docker(&["rmi", &id]).ok();
    }
}

/// The strings of a JSON array, sorted.
fn sorted(array: &str) -> Vec<String> {
    let mut words: Vec<String> = serde_json::from_str(array).expect("an array of words");
    words.sort();
    words
}

#[test]
fn changes_are_laid_over_how_the_container_runs() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("source");
        let options =
            ["-e", "A=1", "-e", "B=2", "--entrypoint", "/bin/echo", "-w", "/tmp", "--health-cmd", "true"];
        side.docker(&[&["create", "--name", &name], &options[..], &["busybox", "x", "y"]].concat()).ok();
        let asked = r#"{"Env":["A=7"],"Cmd":["z"],"User":"3","Labels":{"a":"b"}}"#;
        let rows: [(&[&str], &str, &str, &str); 16] = [
            (&[], "", ".Cmd", r#"["x","y"]"#),
            (&[], asked, ".Cmd", r#"["z"]"#),
            (&[], asked, ".Env", r#"["A=7","B=2"]"#),
            (&[], asked, ".User", r#""3""#),
            (&["ENTRYPOINT foo"], "", ".Cmd", "null"),
            (&["ENTRYPOINT foo"], "", ".Entrypoint", r#"["/bin/sh","-c","foo"]"#),
            (&["CMD z", r#"ENTRYPOINT ["q"]"#], "", ".Cmd", r#"["/bin/sh","-c","z"]"#),
            (&["ENV C=$A D='$A' E=${Q:-d}", "ENV A=9"], "", ".Env", r#"["A=9","B=2","C=1","D=$A","E=d"]"#),
            (&["ENV X y  z"], "", ".Env", r#"["A=1","B=2","X=y  z"]"#),
            (&["EXPOSE 70-71 8080:80/UDP"], "", ".ExposedPorts", r#"{"70/tcp":{},"71/tcp":{},"80/udp":{}}"#),
            (&["WORKDIR $A"], "", ".WorkingDir", r#""/tmp/1""#),
            (&["USER a b"], "", ".User", r#""a b""#),
            (&["VOLUME /v $A"], "", ".Volumes", r#"{"/v":{},"1":{}}"#),
            (
                &["HEALTHCHECK --interval=5s CMD curl x"],
                "",
                ".Healthcheck",
                r#"{"Test":["CMD-SHELL","curl x"],"Interval":5000000000}"#,
            ),
            (&["HEALTHCHECK NONE"], "", ".Healthcheck", r#"{"Test":["NONE"]}"#),
            (&["ONBUILD RUN x", "STOPSIGNAL INT"], "", ".StopSignal", r#""INT""#),
        ];
        for (changes, body, field, right) in rows {
            let mut command = Command::new("curl");
            command.args(["-sS", "--max-time", "60", "-X", "POST", "-H", "Content-Type: application/json"]);
            command
                .arg("--unix-socket")
                .arg(side.socket())
                .args(["--url-query", &format!("container={name}")]);
            command.args(
                changes.iter().flat_map(|change| ["--url-query".to_owned(), format!("changes={change}")]),
            );
            command.args(["--data-binary", body, "http://docker/v1.51/commit"]);
            let answer = Outcome::of(command, b"").ok();
            let id =
                answer.split('"').nth(3).unwrap_or_else(|| panic!("{}: {changes:?}: {answer}", side.who));
            let shown =
                side.docker(&["image", "inspect", "-f", &format!("{{{{json .Config{field}}}}}"), id]).ok();
            let told = format!("{}: {changes:?} {body} {field}: {shown}", side.who);
            match field {
                // docker changes the order of `-e` options.
                ".Env" => assert_eq!(sorted(&shown), sorted(right), "{told}"),
                _ => assert_eq!(shown, right, "{told}"),
            }
            side.docker(&["rmi", id]).ok();
        }
        side.docker(&["rm", &name]).ok();
    }
}

#[test]
fn a_container_is_thawed_when_the_engine_dies_while_its_image_is_made() {
    let node = Node::start();
    node.docker(&["run", "-d", "--name", "big", "--stop-signal", "KILL", "busybox", "sh", "-c", FILL]).ok();
    until_ready(&|arguments| node.docker(arguments).code, "big");
    let client = node.docker_started(&["commit", "big", "half:made"]);
    eventually("it is frozen", Duration::from_secs(20), || {
        match node.docker(&["inspect", "-f", "{{.State.Status}}", "big"]).ok().as_str() {
            "paused" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
    node.kill_service("engine");
    drop(client);
    eventually("it runs again", Duration::from_secs(30), || match node.docker(&["exec", "big", "true"]) {
        outcome if outcome.code == 0 => Ok(()),
        outcome => Err(format!("{outcome:?}")),
    });
    assert_eq!(node.docker(&["inspect", "-f", "{{.State.Status}}", "big"]).ok(), "running");
    node.docker(&["image", "inspect", "half:made"]).fails(1);
    // And once more, undisturbed.
    node.docker(&["commit", "big", "whole:made"]).ok();
    assert_eq!(node.docker(&["run", "--rm", "whole:made", "sh", "-c", "ls /noise | wc -l"]).ok(), "40");
}

#[test]
fn a_container_that_is_removed_meanwhile_leaves_no_half_of_an_image() {
    let node = Node::start();
    node.permit(&["make an image: snapshots did not ", "snapshot files: open "]);
    for round in 0..3 {
        node.docker(&["run", "-d", "--name", "going", "busybox", "sh", "-c", FILL]).ok();
        until_ready(&|arguments| node.docker(arguments).code, "going");
        let tag = format!("going:{round}");
        let client = node.docker_started(&["commit", "going", &tag]);
        std::thread::sleep(Duration::from_millis(150 * round));
        node.docker(&["rm", "-f", "going"]).ok();
        if client.wait().success() {
            let count = node.docker(&["run", "--rm", &tag, "sh", "-c", "ls /noise | wc -l"]).ok();
            assert_eq!(count, "40", "all of it or nothing");
        } else {
            node.docker(&["image", "inspect", &tag]).fails(1);
        }
    }
}

/// A command whose result takes a while to pack.
const FILL: &str = "mkdir /noise; for i in $(seq 40); do head -c 1000000 /dev/urandom >/noise/$i; done; \
    touch /ready; sleep 1000";

fn until_ready(docker: &dyn Fn(&[&str]) -> i32, name: &str) {
    eventually("it is ready", Duration::from_secs(60), || {
        match docker(&["exec", name, "test", "-e", "/ready"]) {
            0 => Ok(()),
            code => Err(code.to_string()),
        }
    });
}
