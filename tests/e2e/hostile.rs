//! Hostile layers: they change nothing outside of their root, and nothing of them stays.

use std::os::unix::fs::MetadataExt;

use gantry_tests::image::{self, Compression, Format, Image};
use gantry_tests::{Node, Registry, Security};
use tar::EntryType;

/// An image whose second layer has one hostile entry.
fn with_entry(name: &str, kind: EntryType, link: Option<&str>) -> Image {
    let mut bad = tar::Builder::new(Vec::new());
    image::entry(&mut bad, name, kind, 0o644, if kind == EntryType::Regular { b"bad" } else { b"" }, link);
    let bad = bad.into_inner().expect("a Vec grows");
    Image::new(&[image::busybox_tar(), bad], Compression::Gzip, Format::Oci, &["true"])
}

#[test]
fn layers_never_write_outside_of_their_root() {
    let node = Node::empty();
    let registry = Registry::start(&node, Security::Open);
    let (target, victim) = (node.root().join("target"), node.root().join("victim"));
    std::fs::write(&victim, "good").expect("a file");
    let absolute = target.to_string_lossy().into_owned();
    let up = "../../../../../../../../../../..";
    let deep = format!("{up}{absolute}");
    let link = format!("{up}{}", victim.display());
    // The entry is refused or stays inside the root.
    let pull = |tag: &str, image: &Image| {
        registry.put("t/bad", tag, image);
        node.docker(&["pull", &format!("{}/t/bad:{tag}", Registry::ADDRESS)]);
        for layer in &image.layers {
            assert!(registry.log().contains(&format!("/blobs/{layer}")), "{tag} was not looked at");
        }
        assert!(!target.exists(), "{tag} wrote outside");
        let links = std::fs::metadata(&victim).expect("it is there").nlink();
        let content = std::fs::read_to_string(&victim).expect("it is there");
        assert_eq!((links, content.as_str()), (1, "good"), "{tag} reached outside");
    };
    pull("dots", &with_entry(&deep, EntryType::Regular, None));
    pull("absolute", &with_entry(&absolute, EntryType::Regular, None));
    pull("hardlink", &with_entry("x", EntryType::Link, Some(&link)));
    pull("absolute-hardlink", &with_entry("x", EntryType::Link, Some(&victim.to_string_lossy())));
    let mut escape = tar::Builder::new(Vec::new());
    image::entry(&mut escape, "way", EntryType::Symlink, 0o777, b"", Some(&node.root().to_string_lossy()));
    image::entry(&mut escape, "way/target", EntryType::Regular, 0o644, b"bad", None);
    let escape = escape.into_inner().expect("a Vec grows");
    pull("link", &Image::new(&[escape], Compression::Gzip, Format::Oci, &["true"]));
}

#[test]
fn layers_that_are_not_what_was_named_are_refused() {
    let node = Node::empty();
    let registry = Registry::start(&node, Security::Open);
    // The config names another diff-id than the layer's.
    let good = Image::new(&[image::busybox_tar()], Compression::Gzip, Format::Oci, &["true"]);
    let other = Image::new(&[image::tar_of(&[("a", b"b")])], Compression::Gzip, Format::Oci, &["true"]);
    let swapped =
        String::from_utf8(good.manifest.1.clone()).expect("JSON").replace(&good.layers[0], &other.layers[0]);
    let size = good.blobs[&good.layers[0]].len().to_string();
    let swapped = swapped.replace(&size, &other.blobs[&other.layers[0]].len().to_string());
    let mut bad = good.clone();
    bad.blobs.extend(other.blobs.clone());
    bad.manifest.1 = swapped.into_bytes();
    registry.put("t/bad", "diff", &bad);
    let complaint = node.docker(&["pull", &format!("{}/t/bad:diff", Registry::ADDRESS)]).fails(1);
    assert!(complaint.contains("sha256:"), "{complaint}");
    // Bytes that are not a tar, and bytes that are not gzip.
    for (tag, bytes) in [
        ("tar", image::compress(b"no tar at all, and long enough", Compression::Gzip)),
        ("gzip", b"junk".to_vec()),
    ] {
        let mut bad = good.clone();
        let digest = image::digest(&bytes);
        let manifest =
            String::from_utf8(good.manifest.1.clone()).expect("JSON").replace(&good.layers[0], &digest);
        bad.manifest.1 = manifest.replace(&size, &bytes.len().to_string()).into_bytes();
        bad.blobs.insert(digest, bytes);
        registry.put("t/bad", tag, &bad);
        node.docker(&["pull", &format!("{}/t/bad:{tag}", Registry::ADDRESS)]).fails(1);
    }
    assert_eq!(node.docker(&["images", "-q"]).ok(), "");
}

#[test]
fn a_device_node_in_a_layer_opens_nothing() {
    let node = Node::empty();
    let registry = Registry::start(&node, Security::Open);
    // The kernel's memory, the machine's first disk, and its first loop device.
    let mut tar = tar::Builder::new(Vec::new());
    for (name, kind, major, minor) in
        [("mem", EntryType::Char, 1, 1), ("disk", EntryType::Block, 254, 0), ("loop", EntryType::Block, 7, 0)]
    {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).expect("a short name");
        header.set_entry_type(kind);
        header.set_mode(0o666);
        header.set_size(0);
        header.set_device_major(major).expect("a number");
        header.set_device_minor(minor).expect("a number");
        header.set_cksum();
        tar.append(&header, &b""[..]).expect("a Vec grows");
    }
    let devices = tar.into_inner().expect("a Vec grows");
    let script = "for file in /mem /disk /loop; do head -c 1 $file >/dev/null 2>&1 && echo opened $file; done; [ -c /mem ] && [ -b /disk ] && echo made";
    let image =
        Image::new(&[image::busybox_tar(), devices], Compression::Gzip, Format::Oci, &["sh", "-c", script]);
    registry.put("t/bad", "devices", &image);
    let name = format!("{}/t/bad:devices", Registry::ADDRESS);
    node.docker(&["pull", &name]).ok();
    assert_eq!(node.docker(&["run", "--rm", &name]).ok(), "made");
}
