//! The front socket with containerd's own client.

use gantry_tests::image::{self, Compression, Format, Image};
use gantry_tests::{Node, Registry, Security};

#[test]
fn what_docker_made_is_seen() {
    let node = Node::start();
    let id = node.docker(&["run", "-d", "busybox", "sleep", "1000"]).ok();
    assert!(node.ctr("moby", &["version"]).ok().contains("Server:"));
    assert!(node.ctr("moby", &["namespaces", "ls"]).ok().contains("moby"));
    assert!(node.ctr("moby", &["plugins", "ls"]).ok().contains("io.containerd.snapshotter.v1"));
    assert!(node.ctr("moby", &["images", "ls"]).ok().contains("docker.io/library/busybox:latest"));
    assert!(node.ctr("moby", &["content", "ls"]).ok().contains("sha256:"));
    assert!(node.ctr("moby", &["snapshots", "ls"]).ok().contains(&id));
    assert!(node.ctr("moby", &["containers", "ls"]).ok().contains(&id));
    let tasks = node.ctr("moby", &["tasks", "ls"]).ok();
    assert!(tasks.contains(&id) && tasks.contains("RUNNING"), "{tasks}");
}

#[test]
fn it_pulls_runs_and_execs_in_a_namespace_of_its_own() {
    let node = Node::empty();
    let registry = Registry::start(&node, Security::Open);
    let image = Image::new(&[image::busybox_tar()], Compression::Gzip, Format::Oci, &["sh"]);
    registry.put("t/ctr", "1", &image);
    let name = format!("{}/t/ctr:1", Registry::ADDRESS);
    node.ctr("mine", &["images", "pull", "--plain-http", &name]).ok();
    assert_eq!(node.ctr("mine", &["run", "--rm", &name, "one", "echo", "from ctr"]).ok(), "from ctr");
    assert_eq!(node.ctr("mine", &["run", "--rm", &name, "two", "sh", "-c", "exit 5"]).code, 5);
    node.ctr("mine", &["run", "-d", &name, "three", "sleep", "1000"]).ok();
    assert_eq!(
        node.ctr("mine", &["tasks", "exec", "--exec-id", "e", "three", "echo", "again"]).ok(),
        "again"
    );
    assert_eq!(node.docker(&["ps", "-aq"]).ok(), "", "namespaces are apart");
    node.ctr("mine", &["tasks", "kill", "-s", "KILL", "three"]).ok();
    node.ctr("mine", &["tasks", "rm", "-f", "three"]);
    node.ctr("mine", &["containers", "rm", "three"]).ok();
    node.ctr("mine", &["images", "rm", "--sync", &name]).ok();
}
