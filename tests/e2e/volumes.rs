//! Binds, volumes and what is copied into them.

use gantry_tests::Node;

#[test]
fn volumes_outlive_containers() {
    let node = Node::start();
    node.docker(&["run", "--rm", "-v", "data:/data", "busybox", "sh", "-c", "echo kept >/data/file"]).ok();
    assert_eq!(
        node.docker(&["run", "--rm", "-v", "data:/data", "busybox", "cat", "/data/file"]).ok(),
        "kept"
    );
    assert_eq!(node.docker(&["volume", "ls", "-q"]).ok(), "data");
    node.docker(&["create", "--name", "box", "-v", "data:/data", "busybox"]).ok();
    node.docker(&["volume", "rm", "data"]).fails(1);
    node.docker(&["rm", "box"]).ok();
    node.docker(&["volume", "rm", "data"]).ok();
    assert_eq!(node.docker(&["volume", "ls", "-q"]).ok(), "");
}

#[test]
fn an_empty_volume_takes_what_the_image_has() {
    let node = Node::start();
    let list = node.docker(&["run", "--rm", "-v", "etc:/etc", "busybox", "cat", "/etc/passwd"]).ok();
    assert!(list.contains("alice"), "{list}");
    assert_eq!(
        node.docker(&[
            "run",
            "--rm",
            "-v",
            "no:/etc:nocopy",
            "busybox",
            "sh",
            "-c",
            "cat /etc/passwd 2>/dev/null || echo empty"
        ])
        .ok(),
        "empty"
    );
}

#[test]
fn binds_reach_the_host() {
    let node = Node::start();
    let folder = node.root().join("shared");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("in"), "from the host").expect("a file");
    let bind = format!("{}:/shared", folder.display());
    assert_eq!(
        node.docker(&[
            "run",
            "--rm",
            "-v",
            &bind,
            "busybox",
            "sh",
            "-c",
            "cat /shared/in; echo back >/shared/out"
        ])
        .ok(),
        "from the host"
    );
    assert_eq!(std::fs::read_to_string(folder.join("out")).expect("written"), "back\n");
    let read_only = format!("{bind}:ro");
    node.docker(&["run", "--rm", "-v", &read_only, "busybox", "touch", "/shared/x"]).fails(1);
    let missing = format!("type=bind,source={}/nowhere,target=/x", folder.display());
    let complaint = node.docker(&["run", "--rm", "--mount", &missing, "busybox", "true"]).fails(125);
    assert!(complaint.contains("bind source path does not exist"), "{complaint}");
}

#[test]
fn anonymous_volumes_go_with_the_container() {
    let node = Node::start();
    node.docker(&["run", "--name", "box", "-v", "/scratch", "busybox", "touch", "/scratch/x"]).ok();
    assert_eq!(node.docker(&["volume", "ls", "-q"]).ok().lines().count(), 1);
    node.docker(&["rm", "-v", "box"]).ok();
    assert_eq!(node.docker(&["volume", "ls", "-q"]).ok(), "");
    node.docker(&["run", "--rm", "-v", "/scratch", "busybox", "true"]).ok();
    assert_eq!(node.docker(&["volume", "ls", "-q"]).ok(), "");
}
