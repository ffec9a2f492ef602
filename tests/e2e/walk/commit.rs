//! `docker commit`: an image of what a container has become.

use std::time::Duration;

use gantry_tests::{Node, eventually, sides};

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
        eventually("it is ready", Duration::from_secs(20), || {
            match side.docker(&["exec", &name, "test", "-e", "/ready"]).code {
                0 => Ok(()),
                code => Err(code.to_string()),
            }
        });
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
        for (query, status, words) in [
            ("container=no-such", 404, "No such container: no-such"),
            ("container=NAME&repo=Upper", 400, "repository name"),
            ("container=NAME&repo=xx&tag=b%20d", 400, "tag"),
            ("container=NAME&repo=xx&changes=NONSENSE%201", 400, "NONSENSE"),
        ] {
            let path = format!("/commit?{}", query.replace("NAME", &name));
            let (was, answer) = side.api("POST", &path, "");
            let said = answer["message"].as_str().unwrap_or_default();
            assert!(was == status && said.contains(words), "{}: {query}: {was} {said}", side.who);
        }
        // One that never ran, without a name for the image.
        let id = side.docker(&["commit", &name]).ok();
        assert_eq!(side.docker(&["run", "--rm", &id, "echo", "runs"]).ok(), "runs", "{}", side.who);
        side.docker(&["rm", &name]).ok();
        side.docker(&["rmi", &id]).ok();
    }
}
