//! One service in a root of its own in memory, and clients on its socket.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use gantry_api::Peers;
use gantry_api::content::files::{Files as _, Filler as _};
use gantry_api::content::{Commit, Owner};
use gantry_daemon::{Context, Roots, Service as _};
use gantry_fakes::{Content, Filler, Serving};
use gantry_proto::containerd::services::diff::v1::diff_client::DiffClient;
use gantry_proto::containerd::services::snapshots::v1::snapshots_client::SnapshotsClient;
use gantry_proto::containerd::services::snapshots::v1::*;
use gantry_proto::containerd::types::Mount;
use gantry_proto::gantry::snapshots::v1::unpacker_client::UnpackerClient;
use gantry_rpc::Channel;
use gantry_rpc::context::with_namespace;
use gantry_snapshots::Service;
use gantry_types::{Digest, Namespace};
use tokio::task::JoinHandle;
use tonic::{Request, Status};

fn namespace() -> Namespace {
    "test".parse().unwrap()
}

/// A blob on its way.
pub struct Arriving {
    filler: Filler,
    file: File,
}

impl Arriving {
    /// Writes what comes at an offset, and tells of it.
    pub async fn bring(&mut self, bytes: &[u8], at: usize) {
        self.file.write_all_at(bytes, at as u64).unwrap();
        self.filler.progress((at + bytes.len()) as u64).await.unwrap();
    }

    /// Gives it up.
    pub async fn abort(mut self) {
        self.filler.abort().await.unwrap();
    }

    /// All of it has come.
    pub async fn commit(mut self) {
        self.filler.commit(Commit::default()).await.unwrap();
    }
}

pub struct World {
    pub base: PathBuf,
    settings: String,
    pub content: Content,
    serving: Serving,
    context: Context,
    service: JoinHandle<()>,
}

/// A world whose service has ended.
pub struct Paused {
    base: PathBuf,
    settings: String,
}

impl Paused {
    /// Starts it again.
    pub async fn resume(self) -> World {
        World::start_in(self.base, self.settings).await
    }
}

impl World {
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts the service with settings.
    pub async fn start_with(settings: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("gantry-snapshots-it-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // Memory, unless a measurement wants a disk.
        let base = std::env::var_os("GANTRY_IT_BASE")
            .map_or_else(|| PathBuf::from("/dev/shm"), PathBuf::from)
            .join(name);
        let _ = std::fs::remove_dir_all(&base);
        Self::start_in(base, settings.to_owned()).await
    }

    async fn start_in(base: PathBuf, settings: String) -> Self {
        let roots = Roots { state: base.join("state"), run: base.join("run") };
        drop(roots.claim("snapshots").unwrap());
        let content = Content::default();
        let serving = content.serve(&roots.run);
        let context = Context::for_test("snapshots", roots).with_settings(&settings);
        let service = tokio::spawn({
            let context = context.clone();
            async move { Service::run(context).await.unwrap() }
        });
        let world = Self { base, settings, content, serving, context, service };
        world.ready().await;
        world
    }

    /// Ends the service as a crash would leave things, and starts it again on the same root.
    pub async fn restart(self, between: impl FnOnce(&Path)) -> Self {
        let base = self.base.clone();
        self.context.shutdown().cancel();
        let Self { service, serving, settings, .. } = self;
        service.await.unwrap();
        drop(serving);
        between(&base);
        Self::start_in(base, settings).await
    }

    /// Ends the service, and keeps what it has.
    pub async fn pause(self) -> Paused {
        self.context.shutdown().cancel();
        self.service.await.unwrap();
        Paused { base: self.base, settings: self.settings }
    }

    pub async fn stop(self) {
        self.context.shutdown().cancel();
        self.service.await.unwrap();
        gantry_rooted::tree::remove_tree(&self.base).unwrap();
    }

    async fn ready(&self) {
        let mut last = None;
        for _ in 0..500 {
            match self
                .snapshots()
                .list(self.ask(ListSnapshotsRequest { snapshotter: "native".into(), filters: vec![] }))
                .await
            {
                Ok(_) => return,
                Err(status) => last = Some(status),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the service did not begin to answer: {last:?}");
    }

    pub fn ask<T>(&self, message: T) -> Request<T> {
        with_namespace(message, &namespace())
    }

    /// Puts a whole blob into content.
    pub fn put(&self, bytes: &[u8]) -> Digest {
        self.content.put(&namespace(), bytes)
    }

    /// The bytes of a blob in content.
    pub fn get(&self, digest: &str) -> Vec<u8> {
        self.content.get(&namespace(), &digest.parse().unwrap()).unwrap()
    }

    /// Begins a blob that arrives bit by bit.
    pub async fn arriving(&self, reference: &str) -> Arriving {
        let owner = Owner::of(&namespace());
        let reference = reference.parse().unwrap();
        let (filler, file) = self.content.fill(&owner, &reference, Default::default()).await.unwrap();
        Arriving { filler, file }
    }

    pub fn peers(&self) -> Peers {
        Peers::new(self.context.run())
    }

    pub fn snapshots(&self) -> SnapshotsClient<Channel> {
        self.peers().snapshots()
    }

    pub fn diff(&self) -> DiffClient<Channel> {
        self.peers().diff()
    }

    pub fn unpacker(&self) -> UnpackerClient<Channel> {
        self.peers().unpacker()
    }

    pub async fn prepare(&self, snapshotter: &str, key: &str, parent: &str) -> Result<Vec<Mount>, Status> {
        let request = PrepareSnapshotRequest {
            snapshotter: snapshotter.into(),
            key: key.into(),
            parent: parent.into(),
            labels: [("test".to_owned(), key.to_owned())].into(),
        };
        Ok(self.snapshots().prepare(self.ask(request)).await?.into_inner().mounts)
    }

    pub async fn view(&self, snapshotter: &str, key: &str, parent: &str) -> Result<Vec<Mount>, Status> {
        let request = ViewSnapshotRequest {
            snapshotter: snapshotter.into(),
            key: key.into(),
            parent: parent.into(),
            labels: Default::default(),
        };
        Ok(self.snapshots().view(self.ask(request)).await?.into_inner().mounts)
    }

    pub async fn commit(&self, snapshotter: &str, name: &str, key: &str) -> Result<(), Status> {
        let request = CommitSnapshotRequest {
            snapshotter: snapshotter.into(),
            name: name.into(),
            key: key.into(),
            ..Default::default()
        };
        self.snapshots().commit(self.ask(request)).await.map(drop)
    }

    pub async fn remove(&self, snapshotter: &str, key: &str) -> Result<(), Status> {
        let request = RemoveSnapshotRequest { snapshotter: snapshotter.into(), key: key.into() };
        self.snapshots().remove(self.ask(request)).await.map(drop)
    }

    pub async fn stat(&self, snapshotter: &str, key: &str) -> Result<Info, Status> {
        let request = StatSnapshotRequest { snapshotter: snapshotter.into(), key: key.into() };
        Ok(self.snapshots().stat(self.ask(request)).await?.into_inner().info.unwrap())
    }

    pub async fn list(&self, snapshotter: &str, filters: &[&str]) -> Result<Vec<String>, Status> {
        let filters = filters.iter().map(|filter| (*filter).to_owned()).collect();
        let request = ListSnapshotsRequest { snapshotter: snapshotter.into(), filters };
        let mut stream = self.snapshots().list(self.ask(request)).await?.into_inner();
        let mut names = Vec::new();
        while let Some(page) = stream.message().await? {
            assert!(page.info.len() <= 100);
            names.extend(page.info.into_iter().map(|info| info.name));
        }
        Ok(names)
    }

    pub async fn cleanup(&self, snapshotter: &str) {
        let request = CleanupRequest { snapshotter: snapshotter.into() };
        self.snapshots().cleanup(self.ask(request)).await.unwrap();
    }

    /// A file system that mounts show, reached without entering the mount table.
    pub fn open(&self, mounts: &[Mount]) -> gantry_rooted::Root {
        let mounts: Vec<gantry_mount::Mount> = mounts
            .iter()
            .cloned()
            .map(|m| gantry_mount::Mount {
                fs_type: m.r#type,
                source: m.source,
                target: m.target,
                options: m.options,
            })
            .collect();
        gantry_rooted::Root::from_fd(gantry_mount::open_detached(&mounts).unwrap())
    }

    /// The names in a directory of the driver's: `snapshots`, `staging` or `trash`.
    pub fn directories(&self, snapshotter: &str, kind: &str) -> Vec<String> {
        let path = self.base.join("state/snapshots").join(snapshotter).join(kind);
        let mut names: Vec<String> = std::fs::read_dir(path)
            .unwrap()
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}
