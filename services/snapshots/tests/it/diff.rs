//! Layers taken from mounts and applied onto others.

use std::path::Path;

use gantry_proto::containerd::services::diff::v1::{ApplyRequest, DiffRequest};
use gantry_proto::containerd::types::{Descriptor, Mount};
use tonic::Code;

use crate::harness::World;
use crate::unpack::{gzip, tar};

fn names(bytes: &[u8]) -> Vec<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let output = std::process::Command::new("tar").arg("-taf").arg(file.path()).output().unwrap();
    let output = if output.status.success() {
        output
    } else {
        std::process::Command::new("tar").arg("-tzf").arg(file.path()).output().unwrap()
    };
    let mut names: Vec<String> =
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    names.sort();
    names
}

fn change(root: &gantry_rooted::Root) {
    root.remove_all(Path::new("etc/gone")).unwrap();
    root.remove_all(Path::new("dir")).unwrap();
    root.create_dir(Path::new("dir"), 0o700).unwrap();
    root.write(Path::new("dir/new"), b"new", 0o600).unwrap();
    root.write(Path::new("etc/changed"), b"other", 0o644).unwrap();
    root.hardlink(Path::new("dir/new"), Path::new("dir/same")).unwrap();
}

/// Makes directories below one another.
fn dig(mut dir: gantry_rooted::Dir, depth: usize) -> gantry_rooted::Dir {
    for _ in 0..depth {
        dir.make_dir("d".as_ref(), 0o755).unwrap();
        dir = dir.open_dir("d".as_ref()).unwrap().unwrap();
    }
    dir
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_cannot_dig_too_deep_for_the_service() {
    let world = World::start().await;
    for sn in ["overlayfs", "native"] {
        world.prepare(sn, "a", "").await.unwrap();
        world.commit(sn, "base", "a").await.unwrap();
        let right = world.prepare(sn, "b", "base").await.unwrap();
        let left = world.view(sn, "left", "base").await.unwrap();
        let root = world.open(&right);
        let bottom = dig(root.dir(Path::new("")).unwrap(), 2000);
        let plain = "application/vnd.oci.image.layer.v1.tar";
        let layer = take(&world, left.clone(), right.clone(), plain).await;
        assert!(layer.size > 2000 * 512, "{sn}");
        dig(bottom, 1000);
        let request = DiffRequest { left, right, media_type: plain.into(), ..Default::default() };
        assert_eq!(world.diff().diff(world.ask(request)).await.unwrap_err().code(), Code::InvalidArgument);
        drop(root);
        world.remove(sn, "b").await.unwrap();
        world.cleanup(sn).await;
        assert!(world.directories(sn, "trash").is_empty(), "{sn}");
    }
    world.stop().await;
}

async fn take(world: &World, left: Vec<Mount>, right: Vec<Mount>, media_type: &str) -> Descriptor {
    let request = DiffRequest {
        left,
        right,
        media_type: media_type.into(),
        labels: [("a".to_owned(), "b".to_owned())].into(),
        ..Default::default()
    };
    world.diff().diff(world.ask(request)).await.unwrap().into_inner().diff.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_taken_and_applied_elsewhere_is_the_same_state() {
    let world = World::start().await;
    let base = tar(
        "mkdir -p etc dir/sub untouched; echo a > etc/gone; echo b > etc/changed; echo c > dir/old; echo d > untouched/x",
    );
    let blob = world.put(&gzip(&base));
    for sn in ["overlayfs", "native"] {
        let mounts = world.prepare(sn, "a", "").await.unwrap();
        let request = ApplyRequest {
            diff: Some(Descriptor { digest: blob.to_string(), ..Default::default() }),
            mounts,
            payloads: Default::default(),
            sync_fs: true,
        };
        let applied = world.diff().apply(world.ask(request)).await.unwrap().into_inner().applied.unwrap();
        assert_eq!(applied.digest, gantry_types::Digest::sha256(&base).to_string());
        assert_eq!(applied.size, i64::try_from(base.len()).unwrap());
        world.commit(sn, "base", "a").await.unwrap();

        let right = world.prepare(sn, "b", "base").await.unwrap();
        change(&world.open(&right));
        let left = world.view(sn, "left", "base").await.unwrap();
        let media_type = if sn == "native" { "application/vnd.oci.image.layer.v1.tar" } else { "" };
        let layer = take(&world, left, right, media_type).await;
        let bytes = world.get(&layer.digest);
        let found = names(&bytes);
        let expected = ["dir/", "dir/new", "dir/same", "etc/", "etc/.wh.gone", "etc/changed"];
        assert!(expected.iter().all(|name| found.iter().any(|f| f == name)), "{sn}: {found:?}");
        assert!(!found.iter().any(|name| name.starts_with("untouched")), "{sn}: {found:?}");

        let mounts = world.prepare(sn, "c", "base").await.unwrap();
        let request = ApplyRequest {
            diff: Some(layer),
            mounts: mounts.clone(),
            payloads: Default::default(),
            sync_fs: false,
        };
        world.diff().apply(world.ask(request)).await.unwrap();
        let root = world.open(&mounts);
        let list = |path: &str| {
            let mut names: Vec<String> = root
                .read_dir(Path::new(path))
                .unwrap()
                .into_iter()
                .map(|e| e.name.into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        assert_eq!(list("dir"), ["new", "same"], "{sn}");
        assert_eq!(list("etc"), ["changed"], "{sn}");
        assert_eq!(root.read(Path::new("etc/changed")).unwrap(), b"other");
        assert_eq!(root.stat(Path::new("dir/same")).unwrap().st_nlink, 2);
        drop(root);

        // From nothing: the whole state.
        let whole = take(
            &world,
            vec![],
            world.view(sn, "all", "base").await.unwrap(),
            "application/vnd.oci.image.layer.v1.tar+zstd",
        )
        .await;
        let tar = zstd::decode_all(world.get(&whole.digest).as_slice()).unwrap();
        assert!(
            names(&tar).contains(&"dir/sub/".to_owned()) && !names(&tar).iter().any(|n| n.contains(".wh."))
        );
    }
    let missing = ApplyRequest {
        diff: Some(Descriptor {
            digest: gantry_types::Digest::sha256(b"none").to_string(),
            ..Default::default()
        }),
        ..Default::default()
    };
    assert_eq!(world.diff().apply(world.ask(missing)).await.unwrap_err().code(), Code::NotFound);
    world.stop().await;
}
