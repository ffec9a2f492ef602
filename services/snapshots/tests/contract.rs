//! Snapshots and diff keep their promises: every driver, by itself and through the service's socket. Needs root.

#![allow(clippy::disallowed_methods, reason = "the work of a test ends with it")]

use std::path::Path;
use std::time::Duration;

use gantry_api::snapshots::{Client, Inspect, Mount, Service, client};
use gantry_api::{Owner, Peers, diff, snapshots};
use gantry_contract::diff::World;
use gantry_contract::unpack;
use gantry_daemon::{Context, Roots, Service as _};
use gantry_fakes::{Content, Serving};
use gantry_rpc::{Code, Coded};
use gantry_snapshots::{Differ, Snapshots, Snapshotter};
use gantry_types::filter::FilterSet;
use gantry_types::{Labels, Namespace};
use tempfile::TempDir;
use tokio_util::sync::DropGuard;

fn directory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").expect("a directory")
}

async fn store(name: &str) -> (Snapshotter, TempDir) {
    let root = directory();
    let snapshots = Snapshots::alone(root.path(), &Peers::new(root.path())).await.expect("opened");
    (snapshots.snapshotter(name), root)
}

/// A service beside a fake of content's.
struct Running {
    _shutdown: DropGuard,
    _content: Serving,
    root: TempDir,
}

async fn service(content: &Content) -> (Client, Running) {
    service_with(content, "").await
}

async fn service_with(content: &Content, settings: &str) -> (Client, Running) {
    let root = directory();
    let roots = Roots { state: root.path().join("state"), run: root.path().join("run") };
    for path in [&roots.state_of("snapshots"), &roots.run] {
        std::fs::create_dir_all(path).expect("made");
    }
    let serving = content.serve(&roots.run);
    let context = Context::for_test("snapshots", roots.clone()).with_settings(settings);
    let shutdown = context.shutdown().clone().drop_guard();
    tokio::spawn(
        async move { gantry_snapshots::Service::run(context).await.expect("the service ends well") },
    );
    let client = Client::new(&Peers::new(&roots.run));
    let looked = client.snapshotter("overlayfs");
    for _ in 0..1000 {
        match looked.list(&Namespace::moby(), &FilterSet::default()).await {
            Err(error) if error.code() == Code::Unavailable => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            outcome => {
                outcome.expect("the service answers");
                return (client, Running { _shutdown: shutdown, _content: serving, root });
            }
        }
    }
    panic!("the service did not come up");
}

async fn served(name: &str) -> (client::Snapshotter, Running) {
    let (client, running) = service(&Content::default()).await;
    (client.snapshotter(name), running)
}

/// A service's snapshotter that is another service's.
async fn far() -> (client::Snapshotter, [Running; 2]) {
    let (client, running) = with_far(&Content::default()).await;
    (client.snapshotter("far"), running)
}

async fn with_far(content: &Content) -> (Client, [Running; 2]) {
    let (_, backend) = service(content).await;
    let address = backend.root.path().join("run/snapshots.sock");
    let settings =
        format!("[proxy_plugins.far]\ntype = \"snapshot\"\naddress = {address:?}\nsnapshotter = \"gantry\"");
    let (client, running) = service_with(content, &settings).await;
    (client, [running, backend])
}

type Unpacked = unpack::World<Client, Content, client::Snapshotter>;

async fn unpacked<R>(content: Content, name: &'static str, (client, running): (Client, R)) -> (Unpacked, R) {
    let snapshotter = client.snapshotter(name);
    (unpack::World { unpacker: client, content, snapshotter, name: Some(name) }, running)
}

mod unpack_by_overlayfs {
    async fn world() -> (super::Unpacked, super::Running) {
        let content = super::Content::default();
        let serving = super::service(&content).await;
        super::unpacked(content, "overlayfs", serving).await
    }
    gantry_contract::unpack!(world);
}

mod unpack_by_native {
    async fn world() -> (super::Unpacked, super::Running) {
        let content = super::Content::default();
        let serving = super::service(&content).await;
        super::unpacked(content, "native", serving).await
    }
    gantry_contract::unpack!(world);
}

mod unpack_onto_a_remote_one {
    async fn world() -> (super::Unpacked, [super::Running; 2]) {
        let content = super::Content::default();
        let serving = super::with_far(&content).await;
        super::unpacked(content, "far", serving).await
    }
    gantry_contract::unpack!(world);
}

mod overlayfs_by_itself {
    async fn world() -> (super::Snapshotter, super::TempDir) {
        super::store("overlayfs").await
    }
    gantry_contract::snapshots!(world);
}

mod native_by_itself {
    async fn world() -> (super::Snapshotter, super::TempDir) {
        super::store("native").await
    }
    gantry_contract::snapshots!(world);
}

mod overlayfs_through_the_socket {
    async fn world() -> (super::client::Snapshotter, super::Running) {
        super::served("overlayfs").await
    }
    gantry_contract::snapshots!(world);
}

mod native_through_the_socket {
    async fn world() -> (super::client::Snapshotter, super::Running) {
        super::served("native").await
    }
    gantry_contract::snapshots!(world);
}

mod remote_through_both_sockets {
    async fn world() -> (super::client::Snapshotter, [super::Running; 2]) {
        super::far().await
    }
    gantry_contract::snapshots!(world);
}

/// Writes a file into what mounts show.
fn write(mounts: &[Mount], file: &str) {
    let mounts: Vec<gantry_mount::Mount> = mounts
        .iter()
        .cloned()
        .map(|mount| gantry_mount::Mount {
            fs_type: mount.fs_type,
            source: mount.source,
            target: mount.target,
            options: mount.options,
        })
        .collect();
    let root = gantry_rooted::Root::from_fd(gantry_mount::open_detached(&mounts).expect("opened"));
    root.write(Path::new(file), file.as_bytes(), 0o644).expect("written");
}

/// Two states that differ by a file, and an empty one.
async fn states<S: snapshots::Snapshotter>(snapshotter: &S) -> [Vec<Mount>; 3] {
    let owner = Owner::of(&Namespace::moby());
    let (base, key) = ("base".parse().expect("a name"), "key".parse().expect("a key"));
    write(&snapshotter.prepare(&owner, &key, None, Labels::new()).await.expect("prepared"), "below");
    snapshotter.commit(&owner, &base, &key, Labels::new(), None).await.expect("committed");
    let before = "before".parse().expect("a key");
    let before = snapshotter.view(&owner, &before, Some(&base), Labels::new()).await.expect("viewed");
    let after = snapshotter.prepare(&owner, &key, Some(&base), Labels::new()).await.expect("prepared");
    write(&after, "above");
    let empty = "empty".parse().expect("a key");
    let empty = snapshotter.prepare(&owner, &empty, None, Labels::new()).await.expect("prepared");
    [before, after, empty]
}

mod diff_by_itself {
    use super::*;

    async fn world() -> (World<Differ, Content>, (Serving, TempDir)) {
        let (snapshotter, root) = store("overlayfs").await;
        let [before, after, empty] = states(&snapshotter).await;
        let content = Content::default();
        let serving = content.serve(root.path());
        let differ = Differ::alone(&Peers::new(root.path()));
        (World { differ, content, before, after, empty }, (serving, root))
    }

    gantry_contract::diff!(world);
}

mod diff_through_the_socket {
    use super::*;

    async fn world() -> (World<diff::Client, Content>, Running) {
        let content = Content::default();
        let (client, running) = service(&content).await;
        let [before, after, empty] = states(&client.snapshotter("native")).await;
        let differ = diff::Client::new(&Peers::new(&running.root.path().join("run")));
        (World { differ, content, before, after, empty }, running)
    }

    gantry_contract::diff!(world);
}
