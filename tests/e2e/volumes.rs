//! Binds, volumes and the copy of the image's files.

use std::process::Command;
use std::time::Duration;

use gantry_tests::{Node, eventually};

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

#[test]
fn a_mounted_volume_outlives_the_engine_and_goes_with_its_last_user() {
    let node = Node::start();
    let options = ["--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=size=1m"];
    node.docker(&[&["volume", "create", "memory"][..], &options].concat()).ok();
    let data = node.docker(&["volume", "inspect", "-f", "{{.Mountpoint}}", "memory"]).ok();
    let mounted = || {
        let mounts = std::fs::read_to_string("/proc/self/mounts").expect("/proc is mounted");
        mounts.lines().filter(|line| line.split(' ').nth(1) == Some(&data)).count()
    };
    assert_eq!(mounted(), 0);
    node.docker(&["run", "-d", "--name", "box", "-v", "memory:/m", "busybox", "sleep", "1000"]).ok();
    node.docker(&["exec", "box", "sh", "-c", "echo kept > /m/f"]).ok();
    assert_eq!(mounted(), 1);
    node.kill_service("engine");
    let again = node.docker(&["run", "--rm", "-v", "memory:/m", "busybox", "cat", "/m/f"]).ok();
    assert_eq!((again.as_str(), mounted()), ("kept", 1));
    node.kill_service("engine");
    node.docker(&["rm", "-f", "box"]).ok();
    eventually("it is unmounted with its last user", Duration::from_secs(10), || match mounted() {
        0 => Ok(()),
        count => Err(format!("{count} mounts")),
    });

    // A file system that another program has mounted there is not removed with the volume.
    let device = node.root().join("device");
    std::fs::create_dir(&device).expect("made");
    std::fs::write(device.join("f"), "precious").expect("written");
    let option = format!("device={}", device.display());
    node.docker(&["volume", "create", "--opt", "type=none", "--opt", "o=bind", "--opt", &option, "bound"])
        .ok();
    let place = node.docker(&["volume", "inspect", "-f", "{{.Mountpoint}}", "bound"]).ok();
    let mount = Command::new("mount").args(["--bind"]).arg(&device).arg(&place).status().expect("mount(8)");
    assert!(mount.success());
    let told = node.gantry(&["fsck"]).stdout;
    assert!(told.contains("mounted for a volume that nobody uses"), "{told}");
    node.docker(&["volume", "rm", "bound"]).ok();
    assert_eq!(std::fs::read_to_string(device.join("f")).expect("still there"), "precious");
}
