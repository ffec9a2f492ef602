//! Images, registries and archives.

use gantry_tests::{Node, Registry, Security, Setup, json_lines};

use super::{refused, told_in_one_line};

#[test]
fn images_are_tagged_pushed_and_pulled() {
    let node = Node::start();
    let registry = Registry::start(&node, Security::Open);
    let name = format!("{}/t/app:1", Registry::ADDRESS);
    node.gantry(&["tag", "busybox", &name]).ok();
    let pushed = node.gantry(&["push", &name]);
    assert!(
        pushed.stderr.contains("pushing to") && pushed.stdout.contains(&format!("{name}@sha256:")),
        "{pushed:#?}"
    );
    node.gantry(&["rmi", &name]).ok();
    // A missing image is pulled, and only the container's output is printed.
    assert_eq!(node.gantry(&["run", "--rm", &name, "echo", "pulled"]).stdout.trim(), "pulled");
    assert_eq!(node.gantry(&["pull", "-q", &name]).ok(), name);
    assert_eq!(
        node.gantry(&["run", "--rm", "--pull", "always", "-q", &name, "echo", "again"]).stdout.trim(),
        "again"
    );
    assert!(node.gantry(&["pull", "-a", &format!("{}/t/app", Registry::ADDRESS)]).ok().contains(&name));
    let events = node.gantry(&["events", "--since", "1h", "--until", "0s", "--filter", "type=image"]).ok();
    for action in ["tag", "push", "untag", "pull"] {
        assert!(events.contains(&format!(" image {action} ")), "{action}: {events}");
    }
    refused(&node, &["tag", "nothing", "x"], 1, "nothing");
    refused(&node, &["tag", "busybox", "sha256:1"], 1, "ambiguous tag");
    refused(&node, &["tag", "busybox", "Upper"], 1, "image name \"Upper\"");
    refused(&node, &["push", "nothing.example/x"], 1, "nothing.example/x");
    refused(&node, &["push", "-a", &name], 1, "tag can't be used with --all-tags");
    refused(&node, &["rmi", "nothing"], 1, "No such image");
    let missing = node.gantry(&["pull", "-q", &format!("{}/t/none:1", Registry::ADDRESS)]);
    told_in_one_line(&missing, 1, "t/none");
    drop(registry);
}

#[test]
fn a_guarded_registry_wants_a_login() {
    let node =
        Node::with(&Setup { settings: &[("images", "insecure = [\"127.0.0.1:5000\"]")], ..Setup::default() });
    node.import_busybox();
    let registry = Registry::start(&node, Security::Guarded);
    let name = format!("{}/t/secret:1", Registry::ADDRESS);
    node.gantry(&["tag", "busybox", &name]).ok();
    assert_eq!(node.gantry(&["push", "-q", &name]).code, 1);
    let login = |user: &str, password: &str| {
        node.gantry_with(&["login", "-u", user, "--password-stdin", Registry::ADDRESS], password.as_bytes())
    };
    told_in_one_line(&login("tester", "wrong"), 1, "nauthorized");
    told_in_one_line(&login("tester", ""), 1, "a user name and a password are needed");
    assert_eq!(login("tester", "secret\n").ok(), "Login Succeeded");
    node.gantry(&["push", "-q", &name]).ok();
    // Docker's client uses the same credentials.
    node.docker(&["pull", &name]).ok();
    node.gantry(&["pull", "-q", &name]).ok();
    node.gantry(&["logout", Registry::ADDRESS]).ok();
    assert_eq!(node.gantry(&["pull", "-q", &name]).code, 1);
    refused(&node, &["logout", Registry::ADDRESS], 1, "not logged in");
    refused(&node, &["login", Registry::ADDRESS], 1, "there is no terminal to ask at");
    drop(registry);
}

#[test]
fn images_are_saved_and_loaded() {
    let node = Node::start();
    node.gantry(&["tag", "busybox", "mine:1"]).ok();
    let file = node.root().join("images.tar").display().to_string();
    node.gantry(&["save", "-o", &file, "busybox", "mine:1"]).ok();
    node.gantry(&["rmi", "busybox", "mine:1"]).ok();
    assert_eq!(node.gantry(&["images", "-q"]).ok(), "");
    let loaded = node.gantry(&["load", "-q", "-i", &file]).ok();
    assert!(
        loaded.contains("Loaded image: busybox:latest") && loaded.contains("Loaded image: mine:1"),
        "{loaded}"
    );
    // The same through pipes: the archive is byte for byte that of Docker's client.
    let mut save = node.gantry_command(&["save", "mine:1"]);
    let saved = save.output().expect("it runs").stdout;
    assert!(saved.len() > 10_240 && saved.ends_with(&[0; 1024]));
    node.gantry(&["rmi", "mine:1"]).ok();
    assert_eq!(node.gantry_with(&["load"], &saved).ok(), "Loaded image: mine:1");
    assert_eq!(node.gantry(&["run", "--rm", "mine:1", "echo", "loaded"]).ok(), "loaded");
    refused(&node, &["save", "nothing"], 1, "nothing");
    let kept = node.root().join("kept.tar");
    std::fs::write(&kept, "as it was").expect("written");
    refused(&node, &["save", "-o", &kept.display().to_string(), "nothing"], 1, "nothing");
    assert_eq!(std::fs::read_to_string(&kept).expect("there"), "as it was");
    refused(&node, &["load", "-i", "/no/such"], 1, "open /no/such");
    let bad = node.gantry_with(&["load", "-q"], b"this is no tar at all, not even nearly one");
    assert_eq!(bad.code, 1, "{bad:#?}");
    assert_eq!(bad.stderr.lines().count(), 1, "{bad:#?}");
    let found = &json_lines(&node.gantry(&["--json", "inspect", "mine:1"]).ok())[0];
    assert_eq!(found["kind"], "image");
}
