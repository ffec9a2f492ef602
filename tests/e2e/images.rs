//! Images by name: list, tag, remove, save, load, push.

use std::time::Duration;

use gantry_tests::{Node, Registry, Security, eventually, image};

#[test]
fn names_come_and_go() {
    let node = Node::start();
    node.docker(&["tag", "busybox", "other:1"]).ok();
    let list = node.docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]).ok();
    let mut names: Vec<_> = list.lines().collect();
    names.sort();
    assert_eq!(names, ["busybox:latest", "other:1"]);
    assert!(node.docker(&["rmi", "busybox"]).ok().contains("Untagged: busybox:latest"));
    assert_eq!(node.docker(&["run", "--rm", "other:1", "echo", "still"]).ok(), "still");
    assert!(node.docker(&["rmi", "other:1"]).ok().contains("Deleted: sha256:"));
    assert_eq!(node.docker(&["images", "-q"]).ok(), "");
    let complaint = node.docker(&["rmi", "other:1"]).fails(1);
    assert!(complaint.contains("No such image: other:1"), "{complaint}");
}

#[test]
fn an_image_in_use_stays() {
    let node = Node::start();
    node.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    let complaint = node.docker(&["rmi", "busybox"]).fails(1);
    assert!(complaint.contains("is using"), "{complaint}");
    node.docker(&["rm", "-f", "box"]).ok();
    node.docker(&["rmi", "busybox"]).ok();
}

#[test]
fn what_nothing_refers_to_is_freed() {
    let node = Node::start();
    node.docker(&["rmi", "busybox"]).ok();
    eventually("content and snapshots are empty", Duration::from_secs(10), || {
        let content = node.ctr("moby", &["content", "ls", "-q"]).ok();
        let snapshots = node.ctr("moby", &["snapshots", "ls"]).ok();
        if content.is_empty() && snapshots.lines().count() <= 1 {
            Ok(())
        } else {
            Err(format!("{content}\n{snapshots}"))
        }
    });
    let blobs = node.root().join("state/content/blobs/sha256");
    eventually("the files are gone", Duration::from_secs(10), || {
        let count = std::fs::read_dir(&blobs).map_or(0, Iterator::count);
        if count == 0 { Ok(()) } else { Err(format!("{count} blobs")) }
    });
}

#[test]
fn layers_that_somebody_removed_are_unpacked_again() {
    let node = Node::start();
    let snapshots = || {
        let rows = node.ctr("moby", &["snapshots", "ls"]).ok();
        rows.lines()
            .skip(1)
            .map(|row| row.split(' ').next().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    for layer in snapshots() {
        node.ctr("moby", &["snapshots", "rm", &layer]).ok();
    }
    assert!(snapshots().is_empty());
    assert_eq!(node.docker(&["run", "--rm", "busybox", "echo", "again"]).ok(), "again");
}

#[test]
fn saved_images_are_loaded_again() {
    let node = Node::start();
    let tar = node.root().join("image.tar").to_string_lossy().into_owned();
    let id = node.docker(&["inspect", "-f", "{{.Id}}", "busybox"]).ok();
    node.docker(&["save", "-o", &tar, "busybox"]).ok();
    node.docker(&["rmi", "busybox"]).ok();
    assert!(node.docker(&["load", "-i", &tar]).ok().contains("Loaded image: busybox:latest"));
    assert_eq!(node.docker(&["inspect", "-f", "{{.Id}}", "busybox"]).ok(), id);
    assert_eq!(node.docker(&["run", "--rm", "busybox", "echo", "back"]).ok(), "back");
    node.docker_with(&["load"], b"this is no tar at all, not even nearly one").fails(1);
}

#[test]
fn pushed_images_are_what_others_pull() {
    let node = Node::start();
    let registry = Registry::start(&node, Security::Open);
    let name = format!("{}/t/pushed:1", Registry::ADDRESS);
    node.docker(&["tag", "busybox", &name]).ok();
    let output = node.docker(&["push", &name]).ok();
    assert!(output.contains("digest: sha256:"), "{output}");
    let folder = node.root().join("copy");
    let skopeo = [
        "skopeo",
        "copy",
        "--src-tls-verify=false",
        &format!("docker://{name}"),
        &format!("dir:{}", folder.display()),
    ];
    node.exec(&skopeo).ok();
    assert!(folder.join("manifest.json").exists());
    drop(registry);
}

#[test]
fn imports_take_instructions() {
    let node = Node::empty();
    let changes =
        ["-c", "ENV GREETING=hi", "-c", "CMD [\"sh\", \"-c\", \"echo $GREETING\"]", "-c", "LABEL a=b"];
    let arguments: Vec<_> = ["import"].iter().chain(&changes).chain(&["-", "made:1"]).copied().collect();
    node.docker_with(&arguments, &image::busybox_tar()).ok();
    assert_eq!(node.docker(&["run", "--rm", "made:1"]).ok(), "hi");
    assert_eq!(node.docker(&["images", "-q", "--filter", "label=a=b"]).ok().lines().count(), 1);
    assert!(node.docker(&["history", "made:1"]).ok().lines().count() >= 2);
}
