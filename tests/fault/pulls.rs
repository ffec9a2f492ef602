//! Interrupted pulls: they can be repeated, and do not fetch bytes twice.

use std::time::Duration;

use gantry_tests::image::{self, Compression, Format, Image};
use gantry_tests::{Answer, Asked, Liar, Node, eventually};

const LAYER: usize = 4_000_000;
/// How many bytes may be lost when a process dies: those that images has not written, and those in the sockets.
const ON_THE_WAY: u64 = 512 << 10;

fn image(layers: u8) -> Image {
    let noise = image::noise(LAYER);
    let mut tars = vec![image::busybox_tar()];
    // Different parts of the same noise, as layers of their own.
    tars.extend((1..=layers).map(|n| image::tar_of(&[(&format!("noise{n}"), &noise[usize::from(n)..])])));
    Image::new(&tars, Compression::Gzip, Format::Oci, &["sh", "-c", "cat /noise* | wc -c"])
}

fn length(layers: u8) -> String {
    (1..=usize::from(layers)).map(|n| LAYER - n).sum::<usize>().to_string()
}

/// Blobs arrive at `pace` bytes per second each.
fn slowly(pace: u64) -> impl FnMut(&Asked, Answer) -> Answer + Send + 'static {
    move |asked, honest| if asked.is_manifest() { honest } else { honest.pace(pace) }
}

fn served(liar: &Liar, image: &Image) -> u64 {
    image.layers.iter().map(|layer| liar.served(layer)).sum()
}

/// Waits until `bytes` of layers were sent.
fn reach(liar: &Liar, image: &Image, bytes: u64) {
    eventually("bytes arrive", Duration::from_secs(20), || {
        let now = served(liar, image);
        if now >= bytes { Ok(()) } else { Err(format!("{now} of {bytes}")) }
    });
}

#[test]
fn what_has_arrived_is_not_fetched_again() {
    let mut node = Node::empty();
    let image = image(3);
    let liar = Liar::honest(&node, &image);
    let name = liar.name("1");
    let whole: u64 = image.layers.iter().map(|layer| image.blobs[layer].len() as u64).sum();
    liar.behave(slowly(3 << 20));
    let mut kills = 0;
    for part in [whole / 8, whole / 3, whole * 2 / 3] {
        let client = node.docker_started(&["pull", &name]);
        reach(&liar, &image, part);
        node.kill_everything();
        kills += 1;
        client.wait();
        node.up();
    }
    node.docker(&["pull", &name]).ok();
    assert_eq!(node.docker(&["run", "--rm", &name]).ok(), length(3));
    for layer in &image.layers {
        let (size, served) = (image.blobs[layer].len() as u64, liar.served(layer));
        assert!(served <= size + kills * ON_THE_WAY, "{served} bytes were sent of {size}");
    }
    // No complete blob is requested again.
    let asked = liar.asked().len();
    node.docker(&["rmi", &name]).ok();
    node.gantry(&["fsck"]).ok();
    node.docker(&["pull", &name]).ok();
    assert!(liar.asked().len() > asked, "the image was removed");
    node.docker(&["rmi", &name]).ok();
}

#[test]
fn everything_dies_while_layers_arrive_and_are_unpacked() {
    let mut node = Node::empty();
    let image = image(2);
    let liar = Liar::honest(&node, &image);
    let name = liar.name("1");
    for delay in [20, 50, 100, 200, 400] {
        let client = node.docker_started(&["pull", &name]);
        std::thread::sleep(Duration::from_millis(delay));
        node.kill_everything();
        client.wait();
        node.up();
        node.gantry(&["fsck"]).ok();
    }
    node.docker(&["pull", &name]).ok();
    assert_eq!(node.docker(&["run", "--rm", &name]).ok(), length(2));
    node.docker(&["rmi", &name]).ok();
}

#[test]
fn each_service_dies_while_layers_arrive_and_are_unpacked() {
    let node = Node::empty();
    let image = image(2);
    let liar = Liar::honest(&node, &image);
    let name = liar.name("1");
    let whole: u64 = image.layers.iter().map(|layer| image.blobs[layer].len() as u64).sum();
    liar.behave(slowly(10 << 20));
    for part in [0, whole / 2, whole - 1000] {
        for service in gantry_descriptor::names() {
            let before = served(&liar, &image);
            let client = node.docker_started(&["pull", &name]);
            reach(&liar, &image, before + part);
            node.kill_service(service);
            client.wait();
            // The pull may have gone on without the client.
            node.docker(&["pull", &name]).ok();
            assert_eq!(node.docker(&["run", "--rm", &name]).ok(), length(2), "{service}");
            node.docker(&["rmi", &name]).ok();
            assert_eq!(node.docker(&["images", "-aq"]).ok(), "", "{service}");
            let fsck = node.gantry(&["fsck"]);
            assert_eq!(fsck.code, 0, "{service} after {part} bytes: {fsck:#?}");
        }
    }
}
