//! containerd's contract, for both drivers.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use gantry_proto::containerd::services::snapshots::v1::*;
use gantry_proto::gantry::gc::v1 as gc;
use tonic::{Code, Request};

use crate::harness::World;

const BOTH: [&str; 2] = ["overlayfs", "native"];

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_lives_from_prepare_to_remove() {
    let world = World::start().await;
    for sn in BOTH {
        let mounts = world.prepare(sn, "extract-1 sha256:a", "").await.unwrap();
        world.open(&mounts).write(Path::new("base"), b"1", 0o644).unwrap();
        assert_eq!(
            world.prepare(sn, "extract-1 sha256:a", "").await.unwrap_err().code(),
            Code::AlreadyExists
        );
        world.commit(sn, "sha256:a", "extract-1 sha256:a").await.unwrap();
        assert_eq!(world.stat(sn, "extract-1 sha256:a").await.unwrap_err().code(), Code::NotFound);

        let mounts = world.prepare(sn, "two", "sha256:a").await.unwrap();
        let root = world.open(&mounts);
        assert_eq!(root.read(Path::new("base")).unwrap(), b"1");
        root.remove_file(Path::new("base")).unwrap();
        root.write(Path::new("top"), b"2", 0o644).unwrap();
        drop(root);
        let again = MountsRequest { snapshotter: sn.into(), key: "two".into() };
        assert_eq!(world.snapshots().mounts(world.ask(again)).await.unwrap().into_inner().mounts, mounts);
        world.commit(sn, "sha256:b", "two").await.unwrap();
        let info = world.stat(sn, "sha256:b").await.unwrap();
        assert_eq!((info.parent.as_str(), info.kind()), ("sha256:a", Kind::Committed));

        let view = world.view(sn, "look", "sha256:b").await.unwrap();
        let root = world.open(&view);
        assert!(root.read(Path::new("base")).unwrap_err().is_not_found());
        assert_eq!(root.read(Path::new("top")).unwrap(), b"2");
        assert_eq!(root.create_dir(Path::new("x"), 0o755).unwrap_err().raw_os_error(), Some(30));
        drop(root);
        assert_eq!(world.stat(sn, "look").await.unwrap().kind(), Kind::View);

        for (key, expected) in [
            ("sha256:a", Code::FailedPrecondition),
            ("sha256:b", Code::FailedPrecondition),
            ("none", Code::NotFound),
        ] {
            assert_eq!(world.remove(sn, key).await.unwrap_err().code(), expected, "{key}");
        }
        for key in ["look", "sha256:b", "sha256:a"] {
            world.remove(sn, key).await.unwrap();
        }
        world.cleanup(sn).await;
        assert!(world.list(sn, &[]).await.unwrap().is_empty());
        for kind in ["snapshots", "staging", "trash"] {
            assert!(world.directories(sn, kind).is_empty(), "{sn}: {kind}");
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_calls_get_containerd_s_codes() {
    let world = World::start().await;
    for sn in BOTH {
        world.prepare(sn, "a", "").await.unwrap();
        assert_eq!(world.prepare(sn, "b", "missing").await.unwrap_err().code(), Code::NotFound);
        assert_eq!(world.prepare(sn, "b", "a").await.unwrap_err().code(), Code::InvalidArgument);
        assert_eq!(world.prepare(sn, "", "").await.unwrap_err().code(), Code::InvalidArgument);
        assert_eq!(world.commit(sn, "n", "missing").await.unwrap_err().code(), Code::NotFound);
        world.commit(sn, "base", "a").await.unwrap();
        world.view(sn, "v", "base").await.unwrap();
        assert_eq!(world.commit(sn, "n", "v").await.unwrap_err().code(), Code::FailedPrecondition);
        world.prepare(sn, "c", "").await.unwrap();
        assert_eq!(world.commit(sn, "base", "c").await.unwrap_err().code(), Code::AlreadyExists);
        assert_eq!(world.stat(sn, "c").await.unwrap().kind(), Kind::Active);
        let mounts = MountsRequest { snapshotter: sn.into(), key: "base".into() };
        assert_eq!(
            world.snapshots().mounts(world.ask(mounts)).await.unwrap_err().code(),
            Code::FailedPrecondition
        );
        let mut twice =
            PrepareSnapshotRequest { snapshotter: sn.into(), key: "d".into(), ..Default::default() };
        twice.labels.insert("containerd.io/snapshot.ref".into(), "base".into());
        assert_eq!(
            world.snapshots().prepare(world.ask(twice)).await.unwrap_err().code(),
            Code::AlreadyExists
        );
    }
    let error = world.prepare("zfs", "a", "").await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::InvalidArgument, "snapshotter not loaded: zfs"));
    let request = StatSnapshotRequest { snapshotter: "native".into(), key: "base".into() };
    assert_eq!(
        world.snapshots().stat(Request::new(request.clone())).await.unwrap_err().code(),
        Code::FailedPrecondition
    );
    let other = gantry_rpc::context::with_namespace(request, &"other".parse().unwrap());
    assert_eq!(world.snapshots().stat(other).await.unwrap_err().code(), Code::NotFound);
    // A lease needs control, which is away here: nothing is made without it.
    let leased =
        PrepareSnapshotRequest { snapshotter: "native".into(), key: "leased".into(), ..Default::default() };
    let leased = gantry_rpc::context::with_lease(leased, &"test".parse().unwrap(), Some("l"));
    let error = world.snapshots().prepare(leased).await.unwrap_err();
    assert!(error.code() == Code::Unavailable && error.message().contains("control"), "{error:?}");
    assert_eq!(world.stat("native", "leased").await.unwrap_err().code(), Code::NotFound);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_paged_filtered_and_labels_updated() {
    let world = World::start().await;
    let sn = "overlayfs";
    for n in 0..230 {
        world.prepare(sn, &format!("key-{n:03}"), "").await.unwrap();
    }
    assert_eq!(world.list(sn, &[]).await.unwrap().len(), 230);
    assert_eq!(world.list(sn, &["name~=/key-00[0-4]/", "labels.test==key-100"]).await.unwrap().len(), 6);
    assert_eq!(world.list(sn, &["kind==committed"]).await.unwrap().len(), 0);
    assert_eq!(world.list(sn, &["name=="]).await.unwrap_err().code(), Code::InvalidArgument);
    let update = |labels: &[(&str, &str)], paths: &[&str]| UpdateSnapshotRequest {
        snapshotter: sn.into(),
        info: Some(Info {
            name: "key-000".into(),
            labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: paths.iter().map(|p| (*p).to_owned()).collect() }),
    };
    let changed =
        world.snapshots().update(world.ask(update(&[("a", "1")], &["labels.a"]))).await.unwrap().into_inner();
    assert_eq!(changed.info.unwrap().labels.len(), 2);
    world.snapshots().update(world.ask(update(&[("b", "2")], &["labels"]))).await.unwrap();
    assert_eq!(world.stat(sn, "key-000").await.unwrap().labels, [("b".to_owned(), "2".to_owned())].into());
    let refused = world.snapshots().update(world.ask(update(&[], &["parent"]))).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn children_and_removals_of_a_parent_race_without_harm() {
    let world = std::sync::Arc::new(World::start().await);
    let sn = "overlayfs";
    for round in 0..20 {
        world.prepare(sn, "a", "").await.unwrap();
        let base = format!("base-{round}");
        world.commit(sn, &base, "a").await.unwrap();
        let (w, b) = (world.clone(), base.clone());
        let child = tokio::spawn(async move { w.prepare(sn, &format!("child-of-{b}"), &b).await });
        let (w, b) = (world.clone(), base.clone());
        let removal = tokio::spawn(async move { w.remove(sn, &b).await });
        match (child.await.unwrap(), removal.await.unwrap()) {
            (Ok(_), Err(error)) => assert_eq!(error.code(), Code::FailedPrecondition),
            (Err(error), Ok(())) => assert_eq!(error.code(), Code::NotFound),
            // Both may lose when each sees the other on its way.
            (Err(a), Err(b)) => assert_eq!((a.code(), b.code()), (Code::NotFound, Code::FailedPrecondition)),
            both => panic!("a child of nothing: {both:?}"),
        }
    }
    std::sync::Arc::into_inner(world).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_that_of_the_snapshot_alone() {
    let world = World::start().await;
    let mounts = world.prepare("overlayfs", "a", "").await.unwrap();
    world.open(&mounts).write(Path::new("big"), &[1; 100_000], 0o644).unwrap();
    world.commit("overlayfs", "base", "a").await.unwrap();
    world.prepare("overlayfs", "b", "base").await.unwrap();
    for (key, size, inodes) in [("base", 102_400, 2), ("base", 102_400, 2), ("b", 0, 1)] {
        let request = UsageRequest { snapshotter: "overlayfs".into(), key: key.into() };
        let usage = world.snapshots().usage(world.ask(request)).await.unwrap().into_inner();
        assert_eq!((usage.size, usage.inodes), (size, inodes), "{key}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_repairs_what_a_crash_left() {
    let world = World::start().await;
    for sn in BOTH {
        world.prepare(sn, "a", "").await.unwrap();
        world.commit(sn, "base", "a").await.unwrap();
        world.prepare(sn, "active", "base").await.unwrap();
    }
    let world = world
        .restart(|base| {
            for sn in BOTH {
                let root = base.join("state/snapshots").join(sn);
                std::fs::create_dir_all(root.join("snapshots/77/fs/stray")).unwrap();
                std::fs::write(root.join("snapshots/77/layer"), "").unwrap();
                std::fs::create_dir_all(root.join("snapshots/78/fs")).unwrap();
                std::fs::create_dir_all(root.join("staging/half/fs")).unwrap();
                std::fs::create_dir_all(root.join("trash/old/fs")).unwrap();
            }
            // The active ones' directories were never written.
            std::fs::remove_dir_all(base.join("state/snapshots/overlayfs/snapshots/2")).unwrap();
        })
        .await;
    for sn in BOTH {
        world.cleanup(sn).await;
        assert_eq!(world.directories(sn, "snapshots").len(), 2, "{sn}");
        assert!(world.directories(sn, "staging").is_empty() && world.directories(sn, "trash").is_empty());
        let mounts = world.prepare(sn, "next", "base").await.unwrap();
        world.open(&mounts).write(Path::new("x"), b"", 0o644).unwrap();
        let active = MountsRequest { snapshotter: sn.into(), key: "active".into() };
        let mounts = world.snapshots().mounts(world.ask(active)).await.unwrap().into_inner().mounts;
        world.open(&mounts).write(Path::new("y"), b"", 0o644).unwrap();
    }
    let strays =
        world.peers().fsck("snapshots").check(gc::FsckRequest::default()).await.unwrap().into_inner().strays;
    assert!(strays.is_empty(), "{strays:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_spares_what_is_used_and_what_others_stand_on() {
    let world = World::start().await;
    let sn = "overlayfs";
    for (name, parent) in [("one", ""), ("two", "one"), ("three", "two"), ("lone", ""), ("touched", "")] {
        world.prepare(sn, "k", parent).await.unwrap();
        world.commit(sn, name, "k").await.unwrap();
    }
    let mut collector = world.peers().collector("snapshots");
    assert_eq!(
        collector.namespaces(gc::NamespacesRequest {}).await.unwrap().into_inner().namespaces,
        ["test"]
    );
    let mark =
        collector.begin(gc::BeginRequest { namespace: "test".into() }).await.unwrap().into_inner().mark;
    let mut scan = collector.scan(gc::ScanRequest { namespace: "test".into() }).await.unwrap().into_inner();
    let nodes = scan.message().await.unwrap().unwrap().nodes;
    assert_eq!(nodes.len(), 5);
    let three = nodes.iter().find(|n| n.resource.as_ref().unwrap().key == "three").unwrap();
    assert_eq!(three.references, [gc::Resource { r#type: "snapshots/overlayfs".into(), key: "two".into() }]);

    let name = |key: &str| gc::Resource { r#type: format!("snapshots/{sn}"), key: key.to_owned() };
    world.prepare(sn, "young", "").await.unwrap();
    let touch =
        gc::TouchRequest { namespace: "test".into(), resources: vec![name("touched"), name("nowhere")] };
    assert_eq!(collector.touch(touch).await.unwrap().into_inner().missing, [name("nowhere")]);
    world.prepare(sn, "child", "two").await.unwrap();
    let resources = ["one", "two", "three", "lone", "touched", "young"].map(name).to_vec();
    let swept = collector
        .sweep(gc::SweepRequest { namespace: "test".into(), mark, resources })
        .await
        .unwrap()
        .into_inner();
    let mut removed: Vec<String> = swept.removed.into_iter().map(|r| r.key).collect();
    removed.sort();
    assert_eq!(removed, ["lone", "three"]);
    assert_eq!(world.list(sn, &[]).await.unwrap(), ["child", "one", "touched", "two", "young"]);

    let world = world.restart(|_| ()).await;
    let mut collector = world.peers().collector("snapshots");
    let resources = vec![name("touched")];
    let swept = collector
        .sweep(gc::SweepRequest { namespace: "test".into(), mark, resources })
        .await
        .unwrap()
        .into_inner();
    assert!(swept.removed.is_empty(), "a mark of before the start sweeps nothing");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_of_mapped_ids_are_options_of_the_mounts() {
    let world = World::start().await;
    let mapped = async |key: &str, labels: &[(&str, &str)]| {
        let labels =
            labels.iter().map(|(name, value)| (format!("containerd.io/snapshot/{name}"), value.to_string()));
        let request = PrepareSnapshotRequest {
            snapshotter: "overlayfs".into(),
            key: key.into(),
            parent: "base".into(),
            labels: labels.collect(),
        };
        world.snapshots().prepare(world.ask(request)).await.map(|answer| answer.into_inner().mounts)
    };
    world.prepare("overlayfs", "a", "").await.unwrap();
    world.commit("overlayfs", "base", "a").await.unwrap();
    let (uids, gids) = (("uidmapping", "0:1000:1,1:2000:9"), ("gidmapping", "0:3000:10"));
    let mounts = mapped("box", &[uids, gids]).await.unwrap();
    let options = &mounts[0].options;
    assert_eq!(options[..2], ["uidmap=0:1000:1,1:2000:9", "gidmap=0:3000:10"]);
    let upper = options.iter().find_map(|option| option.strip_prefix("upperdir=")).unwrap();
    let stat = std::fs::metadata(upper).unwrap();
    assert_eq!((stat.uid(), stat.gid()), (1000, 3000));
    for labels in [&[uids][..], &[uids, ("gidmapping", "0:1")], &[("uidmapping", "5:1:1"), gids]] {
        assert_eq!(mapped("none", labels).await.unwrap_err().code(), Code::InvalidArgument, "{labels:?}");
    }
    assert_eq!(world.directories("overlayfs", "snapshots").len(), 2);
    world.stop().await;
}
