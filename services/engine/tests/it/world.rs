//! The engine's peers for its tests: snapshots in memory, and the fakes of images, network and tasks.
//!
//! A process "runs" until the test ends it. Tests can count what the engine leaves behind.

use std::collections::BTreeSet;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use gantry_api::tasks::records::Manage as _;
use gantry_fakes::{Content, Images, Network, Tasks};
use gantry_proto::containerd::services::snapshots::v1 as snapshots;
use gantry_proto::containerd::types::Mount;
use gantry_types::{Descriptor, Namespace, Platform, ProcessId, media_type};
use parking_lot::{Mutex, MutexGuard};
use serde_json::json;
use snapshots::snapshots_server::{Snapshots, SnapshotsServer};
use tokio::net::UnixListener;
use tokio_stream::Stream;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

type Reply<T> = Result<Response<T>, Status>;
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The world of a test. Cheap to clone.
#[derive(Clone)]
pub struct World {
    root: std::path::PathBuf,
    /// Networks and network namespaces.
    pub network: Network,
    /// Containers' records and processes.
    pub tasks: Tasks,
    things: Arc<Mutex<Things>>,
}

/// The objects that exist.
#[derive(Default)]
pub struct Things {
    /// Snapshot keys.
    pub snapshots: BTreeSet<String>,
    /// The error that the next preparation of a root answers.
    pub refuse_prepare: Option<String>,
    /// Whether roots cannot be removed.
    pub keep_snapshots: bool,
}

impl World {
    /// Serves all peers on their sockets in `run`.
    pub fn serve(root: &Path, run: &Path) -> World {
        let world = World {
            root: root.to_owned(),
            network: Network::default(),
            tasks: Tasks::default(),
            things: Arc::default(),
        };
        let routes = |name: &str, routes: Routes| {
            let listener = UnixListener::bind(run.join(format!("{name}.sock"))).expect("a free path");
            let incoming = UnixListenerStream::new(listener);
            tokio::spawn(Server::builder().add_routes(routes).serve_with_incoming(incoming));
        };
        routes("images", images().routes());
        routes("snapshots", Routes::new(SnapshotsServer::new(world.clone())));
        routes("tasks", world.tasks.routes());
        routes("network", world.network.routes());
        world
    }

    /// The objects that exist now.
    pub fn things(&self) -> MutexGuard<'_, Things> {
        self.things.lock()
    }

    /// Whether nothing of any container is left.
    pub fn is_empty(&self) -> bool {
        let things = self.things();
        things.snapshots.is_empty()
            && self.tasks.recorded().is_empty()
            && self.tasks.processes().is_empty()
            && self.network.attached().is_empty()
    }

    /// Ends a container's process.
    pub fn end(&self, id: &str, code: u32) {
        self.tasks.end(&Namespace::moby(), &ProcessId::init(&id.parse().expect("an id")), code);
    }

    /// Ends an exec of a container.
    pub fn end_exec(&self, id: &str, exec: &str, code: u32) {
        let (container, exec) = (id.parse().expect("an id"), exec.parse().expect("an id"));
        self.tasks.end(&Namespace::moby(), &ProcessId::exec(&container, &exec), code);
    }

    /// Whether tasks has a record of a container.
    pub fn has_record(&self, id: &str) -> bool {
        self.tasks.recorded().iter().any(|container| container.id.as_str() == id)
    }

    /// Deletes all containers' records, which tasks has lost.
    pub async fn lose_records(&self) {
        for container in self.tasks.recorded() {
            self.tasks.delete_record(&Namespace::moby(), &container.id).await.expect("deleted");
        }
    }

    fn mounts(&self) -> Vec<Mount> {
        let mount = Mount {
            r#type: "bind".to_owned(),
            source: self.root.display().to_string(),
            options: vec!["rw".to_owned(), "rbind".to_owned()],
            ..Default::default()
        };
        vec![mount]
    }
}

fn unused() -> Status {
    Status::unimplemented("not part of this world")
}

fn missing(what: &str) -> Status {
    Status::not_found(format!("{what} not found"))
}

/// The images service with one image, by its name.
fn images() -> Images {
    let content = Content::default();
    let moby = Namespace::moby();
    let put = |media_type: &str, document: String| {
        Descriptor::new(media_type, content.put(&moby, document.as_bytes()), document.len() as u64)
    };
    let host = Platform::host();
    let config = json!({
        "os": host.os(), "architecture": host.architecture(), "rootfs": { "type": "layers", "diff_ids": [] },
        "config": { "Cmd": ["sh"], "Env": ["FROM=image"], "ExposedPorts": { "80/tcp": {} } },
    });
    let config = put(media_type::OCI_CONFIG, config.to_string());
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [] });
    let manifest = put(media_type::OCI_MANIFEST, manifest.to_string());
    let images = Images::new(&content);
    images.point(&moby, "docker.io/library/busybox:latest", &manifest);
    images
}

#[tonic::async_trait]
impl Snapshots for World {
    type ListStream = Answers<snapshots::ListSnapshotsResponse>;

    async fn prepare(
        &self,
        request: Request<snapshots::PrepareSnapshotRequest>,
    ) -> Reply<snapshots::PrepareSnapshotResponse> {
        if let Some(reason) = self.things().refuse_prepare.take() {
            return Err(Status::internal(reason));
        }
        if !self.things().snapshots.insert(request.into_inner().key) {
            return Err(Status::already_exists("snapshot exists"));
        }
        Ok(Response::new(snapshots::PrepareSnapshotResponse { mounts: self.mounts() }))
    }

    async fn view(
        &self,
        _: Request<snapshots::ViewSnapshotRequest>,
    ) -> Reply<snapshots::ViewSnapshotResponse> {
        Err(unused())
    }

    async fn mounts(&self, request: Request<snapshots::MountsRequest>) -> Reply<snapshots::MountsResponse> {
        if !self.things().snapshots.contains(&request.get_ref().key) {
            return Err(missing("snapshot"));
        }
        Ok(Response::new(snapshots::MountsResponse { mounts: self.mounts() }))
    }

    async fn commit(&self, _: Request<snapshots::CommitSnapshotRequest>) -> Reply<()> {
        Err(unused())
    }

    async fn remove(&self, request: Request<snapshots::RemoveSnapshotRequest>) -> Reply<()> {
        if self.things().keep_snapshots {
            return Err(Status::internal("device or resource busy"));
        }
        if self.things().snapshots.remove(&request.get_ref().key) {
            Ok(Response::new(()))
        } else {
            Err(missing("snapshot"))
        }
    }

    async fn stat(
        &self,
        _: Request<snapshots::StatSnapshotRequest>,
    ) -> Reply<snapshots::StatSnapshotResponse> {
        Err(unused())
    }

    async fn update(
        &self,
        _: Request<snapshots::UpdateSnapshotRequest>,
    ) -> Reply<snapshots::UpdateSnapshotResponse> {
        Err(unused())
    }

    async fn list(&self, _: Request<snapshots::ListSnapshotsRequest>) -> Reply<Self::ListStream> {
        Err(unused())
    }

    async fn usage(&self, request: Request<snapshots::UsageRequest>) -> Reply<snapshots::UsageResponse> {
        let _ = request;
        Ok(Response::new(snapshots::UsageResponse { size: 42, inodes: 1 }))
    }

    async fn cleanup(&self, _: Request<snapshots::CleanupRequest>) -> Reply<()> {
        Err(unused())
    }
}
