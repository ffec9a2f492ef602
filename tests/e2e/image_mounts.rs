//! Mounts of images, which containers cannot change; removal of one platform of an image.

use std::time::Duration;

use gantry_tests::{Node, Side, eventually, sides};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn create(side: &Side, name: &str, mount: &Value, command: &[&str]) -> (u16, Value) {
    let wanted = json!({"Image": "busybox", "Cmd": command, "HostConfig": {"Mounts": [mount]}});
    side.api("POST", &format!("/containers/create?name={name}"), &wanted.to_string())
}

#[test]
fn an_image_is_mounted_read_only() {
    let node = Node::start();
    for side in sides(&node) {
        let (name, image) = (side.name("box"), side.name("data"));
        let tar = gantry_tests::image::tar_of(&[
            ("folder/", b""),
            ("folder/file", b"of the image\n"),
            ("top", b"t"),
        ]);
        side.docker_with(&["import", "-", &image], &tar).ok();
        let mount = json!({"Type": "image", "Source": image, "Target": "/m"});
        let (status, body) =
            create(&side, &name, &mount, &["sh", "-c", "cat /m/folder/file; ls /m; touch /m/x"]);
        assert_eq!(status, 201, "{}: {body}", side.who);
        assert_eq!(body["Warnings"], json!(["Image mount is an experimental feature"]), "{}", side.who);
        for _ in 0..2 {
            let outcome = side.docker(&["start", "-a", &name]);
            assert_eq!(outcome.stdout.trim_end(), "of the image\nfolder\ntop", "{}", side.who);
            assert!(outcome.stderr.contains("Read-only file system"), "{}: {}", side.who, outcome.stderr);
        }
        let (_, inspect) = side.api("GET", &format!("/containers/{name}/json"), "");
        let point = &inspect["Mounts"][0];
        let expected = json!(["image", image, "/m", "", false, "rprivate"]);
        let keys = ["Type", "Name", "Destination", "Mode", "RW", "Propagation"];
        assert_eq!(keys.iter().map(|key| point[key].clone()).collect::<Value>(), expected, "{}", side.who);
        let out = side.docker(&["cp", &format!("{name}:/m/folder/file"), "-"]).ok();
        assert!(out.contains("of the image"), "{}: {out}", side.who);
        side.docker(&["rm", &name]).ok();

        let part =
            json!({"Type": "image", "Source": image, "Target": "/m", "ImageOptions": {"Subpath": "folder"}});
        create(&side, &name, &part, &["ls", "/m"]);
        assert_eq!(side.docker(&["start", "-a", &name]).ok(), "file", "{}", side.who);
        side.docker(&["rm", &name]).ok();
        side.docker(&["rmi", &image]).ok();
    }
}

#[test]
fn what_cannot_be_mounted_of_images_is_refused() {
    let node = Node::start();
    let subpath =
        "invalid mount config for type \"image\": subpath must be a relative path within the volume";
    let rows = [
        (
            json!({"Source": ""}),
            400,
            "invalid mount config for type \"image\": field Source must not be empty",
        ),
        (json!({"Source": "no-such"}), 404, "No such image: no-such:latest"),
        (json!({"Source": "busybox", "ImageOptions": {"Subpath": "../x"}}), 400, subpath),
        (json!({"Source": "busybox", "ImageOptions": {"Subpath": "/etc"}}), 400, subpath),
        (
            json!({"Source": "busybox", "VolumeOptions": {}}),
            400,
            "VolumeOptions must not be specified on mount type \"image\"",
        ),
        (
            json!({"Type": "bind", "Source": "/tmp", "ImageOptions": {"Subpath": "x"}}),
            400,
            "invalid mount config for type \"bind\": field ImageOptions must not be specified",
        ),
    ];
    for side in sides(&node) {
        let name = side.name("box");
        for (row, expected, words) in &rows {
            let mut mount = json!({"Type": "image", "Target": "/m"});
            mount.as_object_mut().expect("a map").extend(row.as_object().expect("a map").clone());
            let (status, body) = create(&side, &name, &mount, &["true"]);
            assert_eq!((status, body["message"].as_str()), (*expected, Some(*words)), "{}: {row}", side.who);
        }
        let mount = json!({"Type": "image", "Source": "busybox", "Target": "/m", "ImageOptions": {"Subpath": "no-such"}});
        create(&side, &name, &mount, &["true"]);
        let (status, body) = side.api("POST", &format!("/containers/{name}/start"), "");
        let said = body["message"].as_str().unwrap_or_default();
        assert!(
            said.starts_with("cannot access path ") && said.ends_with("no such file or directory"),
            "{}: {said}",
            side.who
        );
        assert!(matches!(status, 404 | 500), "{}: {status}", side.who);
        side.docker(&["rm", &name]).ok();
    }
}

#[test]
fn a_platform_that_is_not_there_is_not_removed() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("image");
        side.docker(&["tag", "busybox", &name]).ok();
        let platform = |architecture: &str| {
            format!("%7B%22os%22%3A%22linux%22%2C%22architecture%22%3A%22{architecture}%22%7D")
        };
        let remove = |query: String| side.api("DELETE", &format!("/images/{name}?{query}"), "");
        let (arm, amd) = (platform("arm64"), platform("amd64"));
        let (status, body) = remove(format!("platforms={arm}"));
        let words = format!(
            "image with reference {name} was found but its platform (linux/amd64) does not match the specified platform (linux/arm64)"
        );
        assert_eq!((status, body["message"].as_str()), (404, Some(words.as_str())), "{}", side.who);
        let (status, body) = remove(format!("platforms={arm}&platforms={amd}"));
        let words = Some("multiple platforms are not supported");
        assert_eq!((status, body["message"].as_str()), (400, words), "{}", side.who);
        let (status, body) = remove(format!("platforms={amd}"));
        assert_eq!((status, body), (200, json!([{"Untagged": format!("{name}:latest")}])), "{}", side.who);
    }
}

/// The blobs of an OCI layout, by their digests.
#[derive(Default)]
struct Layout(Vec<(String, Vec<u8>)>);

impl Layout {
    fn add(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let hex = hex::encode(Sha256::digest(&bytes));
        let descriptor =
            json!({"mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len()});
        self.0.push((format!("blobs/sha256/{hex}"), bytes));
        descriptor
    }

    fn json(&mut self, media_type: &str, document: &Value) -> Value {
        self.add(
            &format!("application/vnd.oci.image.{media_type}.v1+json"),
            document.to_string().into_bytes(),
        )
    }
}

#[test]
fn one_platform_of_an_image_is_removed() {
    let node = Node::start();
    let mut layout = Layout::default();
    let mut manifests = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let tar = gantry_tests::image::tar_of(&[("for", architecture.as_bytes())]);
        let diff_id = format!("sha256:{}", hex::encode(Sha256::digest(&tar)));
        let layer = layout.add("application/vnd.oci.image.layer.v1.tar", tar);
        let config = json!({
            "architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        });
        let config = layout.json("config", &config);
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
        let mut manifest = layout.json("manifest", &manifest);
        manifest["platform"] = json!({"os": "linux", "architecture": architecture});
        manifests.push(manifest);
    }
    let mut index = layout.json("index", &json!({"schemaVersion": 2, "manifests": manifests}));
    index["annotations"] = json!({"io.containerd.image.name": "docker.io/library/both:1"});
    let top = json!({"schemaVersion": 2, "manifests": [index]}).to_string().into_bytes();
    layout.0.push(("index.json".into(), top));
    layout.0.push(("oci-layout".into(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
    let files: Vec<_> = layout.0.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    node.docker_with(&["load"], &gantry_tests::image::tar_of(&files)).ok();

    let side = &sides(&node)[0];
    let digest = |at: usize| manifests[at]["digest"].as_str().expect("text").to_owned();
    let has = |digest: &str| node.ctr("moby", &["content", "ls", "-q"]).ok().contains(digest);
    assert!(has(&digest(0)) && has(&digest(1)));
    let platform = "%7B%22os%22%3A%22linux%22%2C%22architecture%22%3A%22arm64%22%7D";
    let path = format!("/images/both:1?platforms={platform}");
    assert_eq!(side.api("DELETE", &path, ""), (200, json!([{"Deleted": digest(1)}])));
    eventually("it is collected", Duration::from_secs(10), || match has(&digest(1)) {
        true => Err("it is there".to_owned()),
        false => Ok(()),
    });
    assert!(has(&digest(0)));
    let (status, body) = side.api("DELETE", &path, "");
    assert_eq!(status, 404, "{body}");
    node.docker(&["create", "--name", "box", "both:1", "x"]).ok();
    assert!(node.docker(&["cp", "box:/for", "-"]).ok().contains("amd64"));
    node.docker(&["rm", "box"]).ok();
    node.docker(&["rmi", "both:1"]).ok();
}
