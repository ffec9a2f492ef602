//! Snapshotters of somebody else's, and ours as one for others.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gantry_proto::containerd::services::introspection::v1::PluginsRequest;
use gantry_proto::containerd::services::snapshots::v1::*;
use gantry_proto::gantry::gc::v1 as gc;
use gantry_proto::gantry::snapshots::v1::Layer;
use gantry_proto::gantry::snapshots::v1::unpack_progress::State as Step;
use gantry_rpc::context::with_lease;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tonic::Code;

use crate::harness::World;
use crate::unpack::{chain, gzip, layer, tar, unpack};

/// Settings that name a snapshotter at another Gantry's socket.
fn far(base: &Path, theirs: &str) -> String {
    far_at(&base.join("run/snapshots.sock"), theirs)
}

fn far_at(socket: &Path, theirs: &str) -> String {
    format!(
        "[proxy_plugins.far]\ntype = \"snapshot\"\naddress = {socket:?}\nsnapshotter = \"{theirs}\"\ncapabilities = [\"odd\"]"
    )
}

/// A Gantry, and one that has it for its snapshotter `far`.
async fn two(theirs: &str) -> (World, World) {
    let backend = World::start().await;
    let world = World::start_with(&far(&backend.base, theirs)).await;
    (backend, world)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_snapshotter_is_used_by_its_name() {
    let (backend, world) = two("gantry").await;
    let mounts = world.prepare("far", "extract-1 sha256:a", "").await.unwrap();
    world.open(&mounts).write(Path::new("base"), b"1", 0o644).unwrap();
    world.commit("far", "sha256:a", "extract-1 sha256:a").await.unwrap();
    let mounts = world.prepare("far", "box", "sha256:a").await.unwrap();
    assert_eq!(world.open(&mounts).read(Path::new("base")).unwrap(), b"1");
    let again = MountsRequest { snapshotter: "far".into(), key: "box".into() };
    assert_eq!(world.snapshots().mounts(world.ask(again)).await.unwrap().into_inner().mounts, mounts);
    let request = UsageRequest { snapshotter: "far".into(), key: "sha256:a".into() };
    assert!(world.snapshots().usage(world.ask(request)).await.unwrap().into_inner().size > 0);

    let theirs = backend.list("gantry", &[]).await.unwrap();
    assert_eq!(theirs.len(), 2, "{theirs:?}");
    for (name, key) in theirs.iter().zip(["sha256:a", "box"]) {
        let parts: Vec<&str> = name.splitn(3, '/').collect();
        assert!(parts[0] == "test" && parts[1].parse::<u64>().is_ok(), "{name}");
        assert_eq!(parts[2], key, "{name}");
    }
    assert!(world.list("overlayfs", &[]).await.unwrap().is_empty());

    // Another service of the same backend does not meet the first one's.
    let third = World::start_with(&far(&backend.base, "gantry")).await;
    third.prepare("far", "box", "").await.unwrap();
    assert_eq!(backend.list("gantry", &[]).await.unwrap().len(), 3);
    third.remove("far", "box").await.unwrap();
    third.cleanup("far").await;

    let world = world.restart(|_| ()).await;
    assert_eq!(world.open(&mounts).read(Path::new("base")).unwrap(), b"1");
    assert_eq!(world.remove("far", "sha256:a").await.unwrap_err().code(), Code::FailedPrecondition);
    for key in ["box", "sha256:a"] {
        world.remove("far", key).await.unwrap();
    }
    world.cleanup("far").await;
    assert!(backend.list("gantry", &[]).await.unwrap().is_empty());
    for world in [third, world, backend] {
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_away_harms_no_other_and_hears_later_of_what_was_removed() {
    let (backend, world) = two("gantry").await;
    world.prepare("far", "box", "").await.unwrap();
    let base = backend.base.clone();
    let stopped = backend.pause().await;

    let error = world.prepare("far", "new", "").await.unwrap_err();
    assert!(error.code() == Code::Unavailable && error.message().contains("far"), "{error:?}");
    assert_eq!(world.stat("far", "new").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(world.stat("far", "box").await.unwrap().name, "box");
    world.prepare("overlayfs", "near", "").await.unwrap();
    let world = world.restart(|_| ()).await;
    assert_eq!(world.list("far", &[]).await.unwrap(), ["box"]);
    world.remove("far", "box").await.unwrap();
    assert!(world.list("far", &[]).await.unwrap().is_empty());

    let backend = stopped.resume().await;
    assert_eq!(backend.base, base);
    world.cleanup("far").await;
    assert!(backend.list("gantry", &[]).await.unwrap().is_empty());
    world.prepare("far", "box", "").await.unwrap();
    world.stop().await;
    backend.stop().await;
}

/// A way to a socket, which can be cut.
struct Way {
    there: PathBuf,
    socket: PathBuf,
    /// Whether answers come through.
    answers: watch::Sender<bool>,
    open: Option<JoinHandle<()>>,
}

impl Way {
    fn to(there: PathBuf) -> Self {
        let socket = there.with_extension("way");
        let mut way = Self { there, socket, answers: watch::Sender::new(true), open: None };
        way.open();
        way
    }

    fn open(&mut self) {
        self.answers.send_replace(true);
        let listener = UnixListener::bind(&self.socket).unwrap();
        let (there, answers) = (self.there.clone(), self.answers.subscribe());
        self.open = Some(tokio::spawn(async move {
            // They end with this.
            let mut carrying = JoinSet::new();
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let far = UnixStream::connect(&there).await.unwrap();
                let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
                carrying.spawn(carry(from_near, to_far, watch::Sender::new(true).subscribe()));
                carrying.spawn(carry(from_far, to_near, answers.clone()));
            }
        }));
    }

    fn cut(&mut self) {
        self.open.take().unwrap().abort();
        std::fs::remove_file(&self.socket).unwrap();
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, goes: watch::Receiver<bool>) {
    let mut bytes = [0; 8192];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        if *goes.borrow() && to.write_all(&bytes[..length]).await.is_err() {
            break;
        }
    }
}

/// A Gantry whose snapshotter `far` is behind such a way, with an active snapshot `box` there.
async fn behind_a_way() -> (World, World, Way) {
    let backend = World::start().await;
    let way = Way::to(backend.base.join("run/snapshots.sock"));
    let world = World::start_with(&far_at(&way.socket, "gantry")).await;
    let mounts = world.prepare("far", "box", "").await.unwrap();
    world.open(&mounts).write(Path::new("file"), b"kept", 0o644).unwrap();
    (backend, world, way)
}

/// A commit that the backend makes, and whose answer is lost.
async fn commit_unanswered(backend: &World, world: &World, way: &mut Way) {
    way.answers.send_replace(false);
    let committing = world.commit("far", "layer", "box");
    let cutting = async {
        for _ in 0..500 {
            if !backend.list("gantry", &["kind==committed"]).await.unwrap().is_empty() {
                return way.cut();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the backend has not heard of it");
    };
    let (committed, ()) = tokio::join!(committing, cutting);
    assert_eq!(committed.unwrap_err().code(), Code::Unavailable);
}

async fn is_kept(world: &World) {
    let view = world.view("far", "look", "layer").await.unwrap();
    assert_eq!(world.open(&view).read(Path::new("file")).unwrap(), b"kept");
    assert_eq!(world.stat("far", "box").await.unwrap_err().code(), Code::NotFound);
    let again = world.commit("far", "layer", "box").await.unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_the_backend_made_before_a_crash_is_recorded_after_it() {
    let (backend, world, mut way) = behind_a_way().await;
    commit_unanswered(&backend, &world, &mut way).await;
    let world = world.restart(|_| ()).await;
    way.open();
    world.cleanup("far").await;
    is_kept(&world).await;
    for key in ["look", "layer"] {
        world.remove("far", key).await.unwrap();
    }
    world.cleanup("far").await;
    assert!(backend.list("gantry", &[]).await.unwrap().is_empty());
    world.stop().await;
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_did_not_reach_the_backend_leaves_the_active_snapshot() {
    let (backend, world, mut way) = behind_a_way().await;
    way.cut();
    assert_eq!(world.commit("far", "layer", "box").await.unwrap_err().code(), Code::Unavailable);
    let world = world.restart(|_| ()).await;
    way.open();
    world.cleanup("far").await;
    let mounts = MountsRequest { snapshotter: "far".into(), key: "box".into() };
    world.snapshots().mounts(world.ask(mounts)).await.unwrap();
    world.commit("far", "layer", "box").await.unwrap();
    is_kept(&world).await;
    world.stop().await;
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_was_lost_can_be_repeated() {
    let (backend, world, mut way) = behind_a_way().await;
    commit_unanswered(&backend, &world, &mut way).await;
    way.open();
    world.commit("far", "layer", "box").await.unwrap();
    is_kept(&world).await;
    world.stop().await;
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_are_unpacked_onto_a_remote_snapshotter() {
    let tars = [
        tar("mkdir -p etc/dir; echo one > etc/one; echo gone > etc/gone; echo old > etc/dir/old"),
        tar(
            "mkdir -p etc/dir usr; touch etc/.wh.gone etc/dir/.wh..wh..opq; echo new > etc/dir/new; echo two > usr/two",
        ),
    ];
    for theirs in ["gantry", "native"] {
        let (backend, world) = two(theirs).await;
        let layers: Vec<Layer> = tars.iter().map(|tar| layer(&world.put(&gzip(tar)), tar, "")).collect();
        let steps = unpack(&world, "far", layers.clone()).await.unwrap();
        assert_eq!(steps.iter().filter(|(_, step)| *step == Step::Extracted).count(), 2, "{steps:?}");
        let top = chain(&[&tars[0], &tars[1]]);
        let root = world.open(&world.view("far", "look", &top).await.unwrap());
        let read = |path: &str| root.read(Path::new(path)).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!((read("etc/one").unwrap(), read("usr/two").unwrap()), ("one\n".into(), "two\n".into()));
        assert_eq!(read("etc/dir/new").unwrap(), "new\n");
        for gone in ["etc/gone", "etc/dir/old", "etc/.wh.gone"] {
            assert!(read(gone).unwrap_err().is_not_found(), "{gone}");
        }
        drop(root);
        let again = unpack(&world, "far", layers).await.unwrap();
        assert_eq!(again.iter().filter(|(_, step)| *step == Step::Exists).count(), 2, "{again:?}");

        let wrong = vec![layer(&world.put(&gzip(&tars[0])), &tars[1], "")];
        assert_eq!(unpack(&world, "far", wrong).await.unwrap_err().code(), Code::FailedPrecondition);
        for _ in 0..200 {
            world.cleanup("far").await;
            if backend.list(theirs, &[]).await.unwrap().len() == 3 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(backend.list(theirs, &[]).await.unwrap().len(), 3, "two layers and a view");
        world.stop().await;
        backend.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_backend_has_by_itself_is_not_unpacked() {
    let (backend, world) = two("overlayfs").await;
    let bytes = tar("echo file > file");
    let name = chain(&[&bytes]);
    let mounts = backend.prepare("overlayfs", "theirs", "").await.unwrap();
    backend.open(&mounts).write(Path::new("file"), b"theirs", 0o644).unwrap();
    let request = CommitSnapshotRequest {
        snapshotter: "overlayfs".into(),
        name: name.clone(),
        key: "theirs".into(),
        labels: [("containerd.io/snapshot.ref".to_owned(), name.clone())].into(),
        ..Default::default()
    };
    backend.snapshots().commit(backend.ask(request)).await.unwrap();

    // The blob is not there, and nobody needs it.
    let steps = unpack(&world, "far", vec![layer(&gantry_types::Digest::sha256(b"none"), &bytes, "")]).await;
    assert_eq!(steps.unwrap().last().unwrap().1, Step::Exists);
    let view = world.view("far", "look", &name).await.unwrap();
    assert_eq!(world.open(&view).read(Path::new("file")).unwrap(), b"theirs");
    world.stop().await;
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_containerds_snapshots_are_not_collected_and_need_no_lease_of_ours() {
    let world = World::start().await;
    let request = PrepareSnapshotRequest {
        snapshotter: "gantry".into(),
        key: "test/1/box".into(),
        ..Default::default()
    };
    // Control, which keeps leases, is away.
    let request = with_lease(request, &"test".parse().unwrap(), Some("theirs"));
    world.snapshots().prepare(request).await.unwrap();
    let mut collector = world.peers().collector("snapshots");
    let namespaces = collector.namespaces(gc::NamespacesRequest {}).await.unwrap().into_inner().namespaces;
    assert!(namespaces.is_empty(), "{namespaces:?}");
    let namespace = || "test".to_owned();
    let mark = collector.begin(gc::BeginRequest { namespace: namespace() }).await.unwrap().into_inner().mark;
    let mut scan = collector.scan(gc::ScanRequest { namespace: namespace() }).await.unwrap().into_inner();
    assert!(scan.message().await.unwrap().is_none());
    let name = gc::Resource { r#type: "snapshots/gantry".into(), key: "test/1/box".into() };
    let sweep = gc::SweepRequest { namespace: namespace(), mark, resources: vec![name] };
    assert!(collector.sweep(sweep).await.unwrap().into_inner().removed.is_empty());
    let world = world.restart(|_| ()).await;
    // It collects without a namespace.
    let list = ListSnapshotsRequest { snapshotter: "gantry".into(), ..Default::default() };
    let mut listed = world.snapshots().list(tonic::Request::new(list)).await.unwrap().into_inner();
    assert_eq!(listed.message().await.unwrap().unwrap().info[0].name, "test/1/box");
    let remove = RemoveSnapshotRequest { snapshotter: "gantry".into(), key: "test/1/box".into() };
    world.snapshots().remove(tonic::Request::new(remove)).await.unwrap();
    let cleanup = CleanupRequest { snapshotter: "gantry".into() };
    world.snapshots().cleanup(tonic::Request::new(cleanup)).await.unwrap();
    assert!(world.list("gantry", &[]).await.unwrap().is_empty());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_snapshotters_are_told_of_with_what_they_can_do() {
    let nowhere = Path::new("/nowhere");
    let world = World::start_with(&far(nowhere, "overlayfs")).await;
    let answer = world.peers().snapshotters().plugins(PluginsRequest::default()).await.unwrap().into_inner();
    let told: Vec<(String, Vec<String>)> =
        answer.plugins.into_iter().map(|plugin| (plugin.id, plugin.capabilities)).collect();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    assert_eq!(
        told,
        [
            ("overlayfs".to_owned(), words(&["remap-ids", "only-remap-ids"])),
            ("native".to_owned(), words(&[])),
            ("far".to_owned(), words(&["odd"])),
            ("walking".to_owned(), words(&[])),
        ]
    );
    world.stop().await;
}
