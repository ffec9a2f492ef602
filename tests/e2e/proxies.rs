//! Proxy plugins in both directions: Gantry with a stock containerd's snapshotter, and a stock containerd with
//! Gantry's.

use std::time::Duration;

use gantry_tests::image::{self, Compression, Format, Image};
use gantry_tests::{Containerd, Node, Registry, Security, Setup, eventually};

#[test]
fn containers_run_on_a_snapshotter_of_containerd_s() {
    let mut containerd = Containerd::place();
    containerd.start("");
    for (theirs, how) in [("overlayfs", "overlay"), ("native", "bind")] {
        let snapshots = format!(
            "[proxy_plugins.far]\ntype = \"snapshot\"\naddress = {:?}\nsnapshotter = {theirs:?}\n",
            containerd.address()
        );
        let default = "snapshotter = \"far\"\n";
        let setup = Setup {
            settings: &[("snapshots", &snapshots), ("images", default), ("engine", default)],
            ..Setup::default()
        };
        let node = Node::with(&setup);
        node.import_busybox();
        let plugins = node.ctr("moby", &["plugins", "ls"]).ok();
        assert!(
            plugins.lines().any(|line| line.contains("snapshotter.v1") && line.contains("far")),
            "{plugins}"
        );
        let run = ["run", "--rm", "busybox", "sh", "-c", "echo kept > /file; cat /file; ls /bin/sh"];
        assert_eq!(node.docker(&run).ok(), "kept\n/bin/sh", "{theirs}");

        let id = node.docker(&["run", "-d", "busybox", "sh", "-c", "echo mine > /file; sleep 1000"]).ok();
        let mounts = node.ctr("moby", &["snapshots", "--snapshotter", "far", "mounts", "/mnt", &id]).ok();
        assert!(
            mounts.contains(how) && mounts.contains(containerd.folder().to_str().expect("text")),
            "{mounts}"
        );
        let listed = containerd.ctr("moby", &["snapshots", "--snapshotter", theirs, "ls"]).ok();
        let key = listed.lines().find(|line| line.contains(&id)).expect("it is theirs");
        assert!(key.starts_with("moby/"), "{key}");
        // Neither collects the snapshot: Gantry does not while a container has it, and containerd does not by itself.
        containerd.ctr("moby", &["content", "prune", "references"]);
        node.docker(&["image", "prune", "-f"]).ok();
        assert_eq!(node.docker(&["exec", &id, "cat", "/file"]).ok(), "mine");

        // Errors name the plugin that is down, and nothing else fails.
        containerd.stop();
        let refused = node.docker(&["run", "--rm", "busybox", "true"]);
        assert!(refused.code == 125 && refused.stderr.contains("far"), "{refused:#?}");
        assert_eq!(node.docker(&["exec", &id, "cat", "/file"]).ok(), "mine");
        node.docker(&["rm", "-f", &id]).ok();
        containerd.start("");
        node.ctr("moby", &["snapshots", "--snapshotter", "far", "ls"]).ok();
        assert_eq!(node.docker(&run).ok(), "kept\n/bin/sh", "{theirs}");
        node.docker(&["rmi", "-f", "busybox"]).ok();
    }
}

#[test]
fn ctr_names_a_remote_snapshotter() {
    let mut containerd = Containerd::place();
    containerd.start("");
    let settings = format!(
        "[proxy_plugins.far]\ntype = \"snapshot\"\naddress = {:?}\nsnapshotter = \"overlayfs\"\n",
        containerd.address()
    );
    let node = Node::with(&Setup { settings: &[("snapshots", &settings)], ..Setup::default() });
    let registry = Registry::start(&node, Security::Open);
    let image = Image::new(&[image::busybox_tar()], Compression::Gzip, Format::Oci, &["sh"]);
    registry.put("t/far", "1", &image);
    let name = format!("{}/t/far:1", Registry::ADDRESS);
    node.ctr("mine", &["images", "pull", "--plain-http", "--snapshotter", "far", &name]).ok();
    let run = ["run", "--rm", "--snapshotter", "far", &name, "one", "echo", "from afar"];
    assert_eq!(node.ctr("mine", &run).ok(), "from afar");
    assert!(containerd.ctr("mine", &["snapshots", "ls"]).ok().contains("mine/"));
    node.ctr("mine", &["images", "rm", "--sync", &name]).ok();
}

/// An image archive for `ctr`.
fn archive(node: &Node) -> Vec<u8> {
    node.import_busybox();
    let path = node.root().join("busybox.tar");
    node.docker(&["save", "-o", path.to_str().expect("text"), "busybox"]).ok();
    std::fs::read(path).expect("saved")
}

#[test]
fn a_stock_containerd_runs_containers_on_ours() {
    let node = Node::empty();
    let mut containerd = Containerd::place();
    let address = node.socket("snapshots.sock");
    containerd.start(&format!("[proxy_plugins.gantry]\ntype = \"snapshot\"\naddress = {address:?}\n"));
    let image = "docker.io/library/busybox:latest";
    let archive = archive(&node);
    let import = ["images", "import", "--snapshotter", "gantry", "-"];
    containerd.ctr_with("moby", &import, &archive).ok();
    let run = |id: &str, command: &[&str]| {
        let run = ["run", "--rm", "--snapshotter", "gantry", image, id];
        containerd.ctr("moby", &[&run, command].concat())
    };
    assert_eq!(run("one", &["echo", "on ours"]).ok(), "on ours");
    // containerd removes a container's snapshot by its own collection, a moment later.
    let list = || node.ctr("moby", &["snapshots", "--snapshotter", "gantry", "ls"]).ok();
    eventually("the container's snapshot is gone", Duration::from_secs(20), || {
        let ours = list();
        if ours.contains("Active") { Err(ours) } else { Ok(()) }
    });
    let ours = list();
    assert!(ours.lines().skip(1).all(|line| line.starts_with("moby/")) && ours.lines().count() > 1, "{ours}");

    // Gantry has the namespace too: its images and containers are separate, and its collections spare what is not its
    // own.
    assert_eq!(node.docker(&["run", "--rm", "busybox", "echo", "ours"]).ok(), "ours");
    node.docker(&["rmi", "-f", "busybox"]).ok();
    node.ctr("moby", &["leases", "create", "--id", "passing"]).ok();
    node.ctr("moby", &["leases", "rm", "--sync", "passing"]).ok();
    assert_eq!(list(), ours);
    assert_eq!(run("two", &["echo", "still there"]).ok(), "still there");

    node.kill_service("snapshots");
    eventually("snapshots are there again", Duration::from_secs(20), || {
        let outcome = run("three", &["echo", "after a kill"]);
        if outcome.stdout == "after a kill\n" { Ok(()) } else { Err(outcome.stderr) }
    });
    // containerd's collection removes the image.
    containerd.ctr("moby", &["images", "rm", "--sync", image]).ok();
    eventually("containerd collects", Duration::from_secs(20), || {
        let left = node.ctr("moby", &["snapshots", "--snapshotter", "gantry", "ls"]).ok();
        if left.lines().count() <= 1 { Ok(()) } else { Err(left) }
    });
}
