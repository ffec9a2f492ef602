//! `docker cp`, `export`, `diff`.

use std::time::Duration;

use gantry_tests::{Node, eventually};

#[test]
fn files_are_copied_both_ways() {
    let node = Node::start();
    let host = node.root().join("file");
    std::fs::write(&host, "content").expect("a file");
    let host = host.to_string_lossy().into_owned();
    let back = format!("{host}.back");
    node.docker(&[
        "create",
        "--name",
        "box",
        "-v",
        "vol:/vol",
        "busybox",
        "sh",
        "-c",
        "cat /tmp/file /vol/file; sleep 1000",
    ])
    .ok();
    node.docker(&["cp", &host, "box:/tmp/"]).ok();
    node.docker(&["cp", &host, "box:/vol/file"]).ok();
    node.docker(&["cp", "box:/tmp/file", &back]).ok();
    assert_eq!(std::fs::read_to_string(&back).expect("copied"), "content");
    node.docker(&["start", "box"]).ok();
    node.docker(&["cp", "box:/etc/passwd", &back]).ok();
    assert!(std::fs::read_to_string(&back).expect("copied").contains("alice"));
    node.docker(&["cp", &host, "box:/root/live"]).ok();
    assert_eq!(
        node.docker(&["exec", "box", "cat", "/root/live", "/tmp/file", "/vol/file"]).ok(),
        "contentcontentcontent"
    );
    let complaint = node.docker(&["cp", "box:/no/such", &back]).fails(1);
    assert!(complaint.contains("no/such"), "{complaint}");
}

#[test]
fn copies_never_leave_the_root() {
    let node = Node::start();
    let outside = node.root().join("outside");
    std::fs::create_dir(&outside).expect("a folder");
    let script = format!("mkdir -p {0}; ln -s {0} /escape; sleep 1000", outside.display());
    node.docker(&["run", "-d", "--name", "box", "busybox", "sh", "-c", &script]).ok();
    eventually("the link is made", Duration::from_secs(5), || {
        match node.docker(&["exec", "box", "ls", "-d", "/escape/."]) {
            made if made.code == 0 => Ok(()),
            not_yet => Err(not_yet.stderr),
        }
    });
    let host = node.root().join("file");
    std::fs::write(&host, "x").expect("a file");
    // The link is resolved inside the container.
    node.docker(&["cp", &host.to_string_lossy(), "box:/escape/file"]).ok();
    assert!(!outside.join("file").exists());
    assert_eq!(node.docker(&["exec", "box", "cat", "/escape/file"]).ok(), "x");
}

#[test]
fn changes_and_exports_show_the_root() {
    let node = Node::start();
    node.docker(&["run", "--name", "box", "busybox", "sh", "-c", "touch /new; rm /etc/group"]).ok();
    let changes = node.docker(&["diff", "box"]).ok();
    assert!(
        changes.contains("A /new") && changes.contains("D /etc/group") && changes.contains("C /etc"),
        "{changes}"
    );
    let tar = node.root().join("export.tar").to_string_lossy().into_owned();
    node.docker(&["export", "-o", &tar, "box"]).ok();
    let names = node.exec(&["tar", "tf", &tar]).ok();
    assert!(
        names.lines().any(|name| name == "new") && names.lines().any(|name| name == "bin/busybox"),
        "{names}"
    );
}
