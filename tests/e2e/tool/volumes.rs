//! Volumes.

use gantry_tests::{Node, json_lines};

use super::refused;

#[test]
fn volumes_are_made_shown_and_removed() {
    let node = Node::start();
    let volume = |arguments: &[&str]| node.gantry(&[&["volume"], arguments].concat());
    assert_eq!(volume(&["create", "--label", "team=a", "data"]).ok(), "data");
    let made_up = volume(&["create"]).ok();
    assert_eq!(made_up.len(), 64);
    assert_eq!(volume(&["ls", "-q", "--filter", "label=team"]).ok(), "data");
    assert!(volume(&["ls"]).ok().starts_with("DRIVER   VOLUME NAME\n"));
    assert_eq!(
        volume(&["ls", "--format", "{{.Driver}} {{.Name}}", "--filter", "name=data"]).ok(),
        "local data"
    );
    let whole = json_lines(&node.gantry(&["--json", "volume", "ls"]).ok());
    assert_eq!(whole.len(), 2);
    let found = &json_lines(&node.gantry(&["--json", "volume", "inspect", "data"]).ok())[0];
    assert_eq!((&found["labels"]["team"], &found["driver"]), (&"a".into(), &"local".into()));
    node.gantry(&["run", "--name", "box", "-v", "data:/d", "busybox", "touch", "/d/x"]).ok();
    refused(&node, &["volume", "rm", "data"], 1, "volume is in use");
    // Only unused anonymous volumes are removed.
    let pruned = volume(&["prune", "-f"]).ok();
    assert!(pruned.contains(&made_up) && !pruned.contains("removed volume data"), "{pruned}");
    node.gantry(&["rm", "box"]).ok();
    assert!(volume(&["prune", "-af"]).ok().contains("removed volume data"));
    assert_eq!(volume(&["ls", "-q"]).ok(), "");
    assert_eq!(volume(&["rm", "-f", "data"]).ok(), "data");
}

#[test]
fn what_cannot_be_is_told_in_one_line() {
    let node = Node::start();
    refused(&node, &["volume", "create", "a/b"], 1, "includes invalid characters");
    refused(&node, &["volume", "create", "-d", "floppy", "a"], 1, "floppy");
    refused(&node, &["volume", "create", "-o", "x", "a"], 1, "--opt x");
    refused(&node, &["volume", "rm", "nothing"], 1, "no such volume");
    refused(&node, &["volume", "inspect", "nothing"], 1, "no such volume");
    refused(&node, &["volume", "ls", "--filter", "colour=red"], 1, "invalid filter 'colour'");
    refused(&node, &["volume", "prune", "-f", "--filter", "until=1h"], 1, "invalid filter 'until'");
    // Without a terminal, the question gets no yes.
    node.gantry(&["volume", "create", "data"]).ok();
    node.gantry(&["volume", "prune", "-a"]).ok();
    assert_eq!(node.gantry_with(&["volume", "prune", "-a"], b"y\n").code, 0);
    assert_eq!(node.gantry(&["volume", "ls", "-q"]).ok(), "");
}
