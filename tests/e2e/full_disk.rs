//! A full disk: clear errors; the space is freed; Gantry goes on.

use std::time::Duration;

use gantry_tests::image::{self, Compression, Format, Image, Layer};
use gantry_tests::{Liar, Node, Setup, SmallDisk, eventually};

const NO_SPACE: &str = "no space left on device";
const MIB: u64 = 1 << 20;

fn node(disk: &SmallDisk) -> Node {
    let node = Node::with(&Setup { folder: Some(&disk.path()), ..Setup::default() });
    node.import_busybox();
    node
}

/// After a failure: nothing is left over or broken, and further work succeeds.
fn recovers(node: &Node, disk: &SmallDisk, used: u64) {
    eventually("the space is given back", Duration::from_secs(20), || {
        let now = disk.used();
        // The databases' logs may have grown.
        if now < used + 8 * MIB { Ok(()) } else { Err(format!("{now} bytes are used, {used} were")) }
    });
    eventually("a container runs", Duration::from_secs(20), || {
        let outcome = node.docker(&["run", "--rm", "busybox", "echo", "alive"]);
        if outcome.stdout.trim() == "alive" { Ok(()) } else { Err(format!("{outcome:#?}")) }
    });
    node.gantry(&["fsck"]).ok();
    assert_eq!(node.docker(&["images", "--format", "{{.Repository}}"]).ok(), "busybox");
}

#[test]
fn a_layer_that_is_a_bomb() {
    let disk = SmallDisk::new(256);
    let node = node(&disk);
    let before = disk.used();
    // A gigabyte of zeros in about a megabyte.
    let bomb = Layer::bomb("bomb", 1 << 30);
    let image = Image::of(vec![bomb], Compression::Gzip, Format::Oci, &["true"]);
    let liar = Liar::honest(&node, &image);
    let complaint = node.docker(&["pull", &liar.name("bomb")]).fails(1);
    assert!(complaint.to_lowercase().contains(NO_SPACE), "{complaint}");
    recovers(&node, &disk, before);
}

#[test]
fn a_download_that_does_not_fit() {
    let disk = SmallDisk::new(256);
    let node = node(&disk);
    let before = disk.used();
    let noise = image::noise(150_000_000);
    let layers = [image::busybox_tar(), image::tar_of(&[("noise", &noise)])];
    let image = Image::new(&layers, Compression::None, Format::Oci, &["true"]);
    let liar = Liar::honest(&node, &image);
    let complaint = node.docker(&["pull", &liar.name("big")]).fails(1);
    assert!(complaint.to_lowercase().contains(NO_SPACE), "{complaint}");
    recovers(&node, &disk, before);
}

#[test]
fn a_disk_without_a_byte_left() {
    let disk = SmallDisk::new(256);
    let node = node(&disk);
    node.permit(&["No space left on device", "no space left on device"]);
    let before = disk.used();
    node.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    let filling = disk.fill();
    let noise = image::noise(1_000_000);
    let image = Image::new(
        &[image::busybox_tar(), image::tar_of(&[("noise", &noise)])],
        Compression::Gzip,
        Format::Oci,
        &["true"],
    );
    let liar = Liar::honest(&node, &image);
    for arguments in [
        &["pull", &liar.name("1")][..],
        &["create", "busybox", "true"][..],
        &["volume", "create", "vol"][..],
        &["tag", "busybox", "other"][..],
    ] {
        let outcome = node.docker(arguments);
        let complaint = outcome.stderr.to_lowercase();
        assert!(outcome.code != 0 && complaint.contains(NO_SPACE), "{outcome:#?}");
    }
    // Operations that need no space succeed, and operations that free some.
    assert!(node.docker(&["ps"]).ok().contains("box"));
    assert_eq!(node.docker(&["exec", "box", "echo", "alive"]).ok(), "alive");
    node.docker(&["rm", "-f", "box"]).ok();
    std::fs::remove_file(filling).expect("it is there");
    recovers(&node, &disk, before);
    node.docker(&["pull", &liar.name("1")]).ok();
    node.docker(&["rmi", &liar.name("1")]).ok();
}

#[test]
fn a_container_that_fills_the_disk() {
    let disk = SmallDisk::new(256);
    let node = node(&disk);
    let before = disk.used();
    let script = "dd if=/dev/zero of=/file bs=1M; echo wrote; exit 3";
    let outcome = node.docker(&["run", "--name", "box", "busybox", "sh", "-c", script]);
    assert!(outcome.stderr.contains("No space left on device"), "{outcome:#?}");
    // The log may lack what did not fit; the attached client gets it.
    assert_eq!((outcome.code, outcome.stdout.trim()), (3, "wrote"), "{outcome:#?}");
    node.docker(&["rm", "box"]).ok();
    recovers(&node, &disk, before);
}
