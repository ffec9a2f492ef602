//! Backups of all databases at one moment, while clients create and remove objects.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gantry_tests::{Node, eventually};

/// Creates and removes containers and volumes until `stop`.
fn churn(node: &Node, number: usize, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let (name, volume) = (format!("churn-{number}"), format!("churn-{number}:/data"));
        let script = "echo x > /data/x; echo x > /x";
        node.docker(&["run", "--rm", "--name", &name, "-v", &volume, "busybox", "sh", "-c", script]).ok();
        // The volume's container may be just being removed.
        eventually("the volume is removed", Duration::from_secs(20), || {
            let removed = node.docker(&["volume", "rm", &name]);
            if removed.code == 0 { Ok(()) } else { Err(removed.stderr) }
        });
    }
}

/// A node from a backup, in place of another: with everything but running containers.
fn restored(from: &Node, backup: &str, data: bool) -> Node {
    let mut node = Node::empty();
    node.permit(&["records were lost: what they may have kept has a lease"]);
    let complaint = node.gantry(&["backup", "restore", backup]).fails(125);
    assert!(complaint.contains("gantry down"), "{complaint}");
    node.down(&["--all"]);
    if !data {
        // As a copy of the file system would bring them.
        for part in ["content/blobs", "snapshots/overlayfs", "engine/volumes"] {
            let copy = |arguments: &[&str]| from.exec(arguments).ok();
            let target = node.root().join("state").join(part).display().to_string();
            copy(&["rm", "-r", &target]);
            copy(&["cp", "-a", &from.root().join("state").join(part).display().to_string(), &target]);
        }
        let complaint = node.gantry(&["backup", "restore", backup]).fails(125);
        assert!(complaint.contains("--force"), "{complaint}");
        node.gantry(&["backup", "restore", "--force", backup]).ok();
    } else {
        std::fs::remove_dir_all(node.root().join("state")).expect("there");
        node.gantry(&["backup", "restore", backup]).ok();
    }
    node.up();
    assert_eq!(
        node.docker(&["run", "--rm", "-v", "data:/data", "busybox", "cat", "/data/x"]).ok(),
        "precious"
    );
    assert_eq!(node.docker(&["volume", "ls", "-q", "--filter", "label=kind=precious"]).ok(), "data");
    assert_eq!(node.docker(&["network", "ls", "-q", "--filter", "name=mine"]).ok().lines().count(), 1);
    node.docker(&["start", "box"]).ok();
    assert_eq!(node.docker(&["exec", "box", "cat", "/root-x"]).ok(), "precious");
    // There may also be containers that existed only at that moment.
    for container in node.docker(&["ps", "-aq"]).ok().lines() {
        node.docker(&["rm", "-f", container]).ok();
    }
    for volume in node.docker(&["volume", "ls", "-q"]).ok().lines() {
        node.docker(&["volume", "rm", volume]).ok();
    }
    node.docker(&["network", "rm", "mine"]).ok();
    node
}

#[test]
fn a_backup_while_clients_come_and_go_is_whole() {
    let node = Node::start();
    node.docker(&["volume", "create", "--label", "kind=precious", "data"]).ok();
    node.docker(&["network", "create", "mine"]).ok();
    node.docker(&[
        "run",
        "-d",
        "--name",
        "box",
        "--network",
        "mine",
        "-v",
        "data:/data",
        "busybox",
        "sleep",
        "1000",
    ])
    .ok();
    node.docker(&["exec", "box", "sh", "-c", "echo precious > /data/x; echo precious > /root-x"]).ok();
    let backup = |name: &str| node.root().join(name).display().to_string();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for number in 0..2 {
            let (node, stop) = (&node, &stop);
            scope.spawn(move || churn(node, number, stop));
        }
        for number in 0..3 {
            node.gantry(&["backup", "create", "--data", &backup(&format!("backup-{number}"))]).ok();
        }
        stop.store(true, Ordering::Relaxed);
    });
    node.gantry(&["backup", "create", &backup("backup.tar")]).ok();
    let complaint = node.gantry(&["backup", "create", &backup("backup.tar")]).fails(125);
    assert!(complaint.contains("there already"), "{complaint}");

    for number in 0..3 {
        drop(restored(&node, &backup(&format!("backup-{number}")), true));
    }
    node.docker(&["stop", "-t", "0", "box"]).ok();
    drop(restored(&node, &backup("backup.tar"), false));
    node.docker(&["rm", "-f", "box"]).ok();
    node.docker(&["network", "rm", "mine"]).ok();
    node.docker(&["volume", "rm", "data"]).ok();
}
