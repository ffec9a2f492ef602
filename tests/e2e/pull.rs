//! Pulls from a real registry.

use gantry_tests::image::{self, Compression, Format, Image};
use gantry_tests::{Node, Registry, Security};

fn layers() -> Vec<Vec<u8>> {
    let big: Vec<u8> = (0..2_000_000_u32).flat_map(u32::to_le_bytes).collect();
    vec![
        image::busybox_tar(),
        image::tar_of(&[
            ("opt/", b""),
            ("opt/big", &big),
            ("opt/gone", b"x"),
            ("dir/", b""),
            ("dir/old", b"x"),
        ]),
        image::tar_of(&[("opt/.wh.gone", b""), ("dir/", b""), ("dir/.wh..wh..opq", b""), ("dir/new", b"y")]),
    ]
}

const LIST: &[&str] = &["sh", "-c", "ls /opt /dir | tr '\\n' ' '; wc -c </opt/big"];

#[test]
fn every_format_is_pulled_and_runs() {
    let node = Node::empty();
    let registry = Registry::start(&node, Security::Open);
    for (tag, compression, format) in [
        ("gzip", Compression::Gzip, Format::Oci),
        ("zstd", Compression::Zstd, Format::Oci),
        ("plain", Compression::None, Format::Oci),
        ("docker", Compression::Gzip, Format::Docker),
    ] {
        let image = Image::new(&layers(), compression, format, LIST);
        registry.put("t/multi", tag, &image);
        let name = format!("{}/t/multi:{tag}", Registry::ADDRESS);
        let output = node.docker(&["pull", &name]).ok();
        assert!(output.contains(&format!("Digest: {}", image.digest())), "{output}");
        assert!(output.contains("Status: Downloaded newer image"), "{output}");
        assert!(node.docker(&["pull", &name]).ok().contains("Image is up to date"));
        assert_eq!(node.docker(&["run", "--rm", &name]).ok(), "/dir: new  /opt: big 8000000", "{tag}");
        let by_digest = format!("{}/t/multi@{}", Registry::ADDRESS, image.digest());
        node.docker(&["pull", &by_digest]).ok();
    }
}

#[test]
fn a_missing_image_is_pulled_by_run() {
    let node = Node::empty();
    let registry = Registry::start(&node, Security::Open);
    registry.put(
        "t/one",
        "latest",
        &Image::new(&layers()[..1], Compression::Gzip, Format::Oci, &["echo", "pulled"]),
    );
    let name = format!("{}/t/one", Registry::ADDRESS);
    assert_eq!(node.docker(&["run", "--rm", &name]).ok(), "pulled");
    let complaint = node.docker(&["pull", &format!("{name}:nothing")]).fails(1);
    assert!(complaint.contains("not found") || complaint.contains("manifest unknown"), "{complaint}");
}

#[test]
fn a_guarded_registry_wants_a_login() {
    let node = Node::start();
    let registry = Registry::start(&node, Security::Guarded);
    let certificates = node.root().join("state/images/certs.d").join(Registry::ADDRESS);
    std::fs::create_dir_all(&certificates).expect("a folder");
    std::fs::copy(registry.authority(), certificates.join("ca.crt")).expect("copied");
    let name = format!("{}/t/secret:1", Registry::ADDRESS);
    node.docker(&["tag", "busybox", &name]).ok();
    node.docker(&["push", &name]).fails(1);
    node.docker(&["login", "-u", "tester", "-p", "wrong", Registry::ADDRESS]).fails(1);
    node.docker(&["login", "-u", "tester", "-p", "secret", Registry::ADDRESS]).ok();
    node.docker(&["push", &name]).ok();
    node.docker(&["rmi", "busybox", &name]).ok();
    node.docker(&["pull", &name]).ok();
    assert_eq!(node.docker(&["run", "--rm", &name, "echo", "in"]).ok(), "in");
    node.docker(&["logout", Registry::ADDRESS]).ok();
    // The client does not ask for a user name.
    let complaint = node.docker(&["pull", &name]).fails(1);
    assert!(complaint.contains("no basic auth credentials"), "{complaint}");
}

#[test]
fn a_layer_is_fetched_once_for_two_pulls() {
    let node = Node::empty();
    let registry = Registry::start(&node, Security::Open);
    let image = Image::new(&layers(), Compression::Gzip, Format::Oci, LIST);
    registry.put("t/shared", "a", &image);
    registry.put("t/shared", "b", &image);
    let pull = |tag: &str| node.docker(&["pull", &format!("{}/t/shared:{tag}", Registry::ADDRESS)]).ok();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| pull("a"));
        pull("b");
        first.join().expect("pulled");
    });
    let fetched = |digest: &String| {
        let log = registry.log();
        let answered = log.lines().filter(|line| line.contains("msg=\"response completed\""));
        answered
            .filter(|line| line.contains("method=GET") && line.contains(&format!("/blobs/{digest}")))
            .count()
    };
    for layer in &image.layers {
        assert_eq!(fetched(layer), 1, "{layer}: {}", registry.log());
    }
}

#[test]
fn the_platform_is_picked_from_an_index() {
    let node = Node::empty();
    let registry = Registry::start(&node, Security::Open);
    let ours = Image::new(&layers()[..1], Compression::Gzip, Format::Oci, &["echo", "amd64"]);
    let theirs = Image::new(&layers()[1..2], Compression::Gzip, Format::Oci, &["echo", "arm64"]);
    registry.put("t/index", "amd64", &ours);
    registry.put("t/index", "arm64", &theirs);
    let entry = |image: &Image, architecture: &str| {
        serde_json::json!({
            "mediaType": image.manifest.0, "digest": image.digest(), "size": image.manifest.1.len(),
            "platform": { "os": "linux", "architecture": architecture },
        })
    };
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type,
        "manifests": [entry(&theirs, "arm64"), entry(&ours, "amd64")],
    });
    let index = Image {
        blobs: Default::default(),
        manifest: (media_type.to_owned(), index.to_string().into_bytes()),
        layers: Vec::new(),
    };
    registry.put("t/index", "latest", &index);
    let name = format!("{}/t/index", Registry::ADDRESS);
    assert_eq!(node.docker(&["run", "--rm", &name]).ok(), "amd64");
    assert!(node.docker(&["images", "--digests"]).ok().contains(&index.digest()));
}
