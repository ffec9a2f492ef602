//! A control service in a temporary root, and a service behind it that answers
//! as `content` and as every store that is collected.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gantry_api::Peers;
use gantry_daemon::{Context, Roots, Service};
use gantry_fakes::Serving;
use gantry_proto::containerd::services::content::v1 as content;
use gantry_proto::containerd::services::content::v1::content_server::{Content, ContentServer};
use gantry_proto::gantry::gc::v1 as gc;
use gantry_proto::gantry::gc::v1::collector_server::{Collector, CollectorServer};
use gantry_rpc::context::with_namespace;
use gantry_types::Namespace;
use parking_lot::Mutex;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

/// A store with blobs that are only names, in namespace `test`.
#[derive(Debug, Default, Clone)]
pub struct Store {
    pub blobs: Arc<Mutex<Vec<String>>>,
    /// Reads that are open.
    pub reading: Arc<()>,
}

type Boxed<T> = std::pin::Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Content for Store {
    type ListStream = Boxed<content::ListContentResponse>;
    type ReadStream = Boxed<content::ReadContentResponse>;
    type WriteStream = Boxed<content::WriteContentResponse>;

    async fn info(
        &self,
        request: Request<content::InfoRequest>,
    ) -> Result<Response<content::InfoResponse>, Status> {
        let namespace = gantry_rpc::context::namespace(&request)?;
        Err(Status::not_found(format!("blob {} in {namespace}: not found", request.get_ref().digest)))
    }

    async fn update(
        &self,
        _: Request<content::UpdateRequest>,
    ) -> Result<Response<content::UpdateResponse>, Status> {
        Err(Status::unimplemented("update"))
    }

    async fn list(
        &self,
        _: Request<content::ListContentRequest>,
    ) -> Result<Response<Self::ListStream>, Status> {
        Err(Status::unimplemented("list"))
    }

    async fn delete(&self, _: Request<content::DeleteContentRequest>) -> Result<Response<()>, Status> {
        Err(Status::unimplemented("delete"))
    }

    /// Blocks of 1 MiB, without end when the size is 0.
    async fn read(
        &self,
        request: Request<content::ReadContentRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let (size, reading) = (request.get_ref().size, self.reading.clone());
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            let mut offset = 0;
            while size == 0 || offset < size {
                let data = vec![7; 1 << 20].into();
                if sender.send(Ok(content::ReadContentResponse { offset, data })).await.is_err() {
                    break;
                }
                offset += 1 << 20;
            }
            drop(reading);
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn status(
        &self,
        _: Request<content::StatusRequest>,
    ) -> Result<Response<content::StatusResponse>, Status> {
        Err(Status::unimplemented("status"))
    }

    async fn list_statuses(
        &self,
        _: Request<content::ListStatusesRequest>,
    ) -> Result<Response<content::ListStatusesResponse>, Status> {
        Err(Status::unimplemented("list statuses"))
    }

    /// Answers each message with what has come so far.
    async fn write(
        &self,
        request: Request<Streaming<content::WriteContentRequest>>,
    ) -> Result<Response<Self::WriteStream>, Status> {
        let mut offset = 0;
        let answers = request.into_inner().map(move |message| {
            offset += message?.data.len() as i64;
            Ok(content::WriteContentResponse { offset, ..Default::default() })
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn abort(&self, _: Request<content::AbortRequest>) -> Result<Response<()>, Status> {
        Err(Status::unimplemented("abort"))
    }
}

#[tonic::async_trait]
impl Collector for Store {
    type ScanStream = Boxed<gc::ScanResponse>;

    async fn namespaces(
        &self,
        _: Request<gc::NamespacesRequest>,
    ) -> Result<Response<gc::NamespacesResponse>, Status> {
        let namespaces = if self.blobs.lock().is_empty() { Vec::new() } else { vec!["test".into()] };
        Ok(Response::new(gc::NamespacesResponse { namespaces }))
    }

    async fn begin(&self, _: Request<gc::BeginRequest>) -> Result<Response<gc::BeginResponse>, Status> {
        Ok(Response::new(gc::BeginResponse { mark: 1 }))
    }

    async fn scan(&self, request: Request<gc::ScanRequest>) -> Result<Response<Self::ScanStream>, Status> {
        let here = request.get_ref().namespace == "test";
        let blobs = self
            .blobs
            .lock()
            .iter()
            .filter(|_| here)
            .map(|key| gc::Node { resource: Some(resource(key)), ..Default::default() })
            .collect();
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(gc::ScanResponse { nodes: blobs })))))
    }

    async fn sweep(&self, request: Request<gc::SweepRequest>) -> Result<Response<gc::SweepResponse>, Status> {
        let removed = request.into_inner().resources;
        self.blobs.lock().retain(|blob| !removed.contains(&resource(blob)));
        Ok(Response::new(gc::SweepResponse { freed_bytes: removed.len() as u64, removed }))
    }

    async fn touch(&self, request: Request<gc::TouchRequest>) -> Result<Response<gc::TouchResponse>, Status> {
        let mut missing = request.into_inner().resources;
        missing.retain(|wanted| !self.blobs.lock().iter().any(|blob| resource(blob) == *wanted));
        Ok(Response::new(gc::TouchResponse { missing }))
    }
}

/// A blob.
pub fn resource(key: &str) -> gc::Resource {
    gc::Resource { r#type: "content".into(), key: key.into() }
}

/// The surroundings of a test.
pub struct World {
    folder: tempfile::TempDir,
    pub store: Store,
    behind: Vec<Serving>,
    context: Context,
    service: Option<tokio::task::JoinHandle<()>>,
    /// Clients, each at its own service.
    pub peers: Peers,
}

impl World {
    pub async fn new() -> World {
        let folder = tempfile::tempdir_in("/dev/shm").expect("a temporary root");
        let roots = Roots { state: folder.path().join("state"), run: folder.path().join("run") };
        std::fs::create_dir_all(roots.state_of("control")).expect("the state directory");
        std::fs::create_dir_all(&roots.run).expect("the run directory");
        let peers = Peers::new(&roots.run);
        let context = Context::for_test("control", roots);
        let (store, behind) = (Store::default(), Vec::new());
        let mut world = World { folder, store, behind, context, service: None, peers };
        world.start_stores();
        let context = world.context.clone();
        world.service = Some(tokio::spawn(async move {
            gantry_control::Service::run(context).await.expect("the service runs");
        }));
        let socket = world.run().join("control.sock");
        eventually("control's socket", || socket.exists()).await;
        world
    }

    pub fn run(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// The front socket.
    pub fn front(&self) -> PathBuf {
        self.run().join("containerd.sock")
    }

    pub fn start_stores(&mut self) {
        for name in ["content", "snapshots", "images", "tasks"] {
            let store = if name == "content" { self.store.clone() } else { Store::default() };
            self.behind.push(serve(&self.run().join(format!("{name}.sock")), store));
        }
    }

    pub fn stop_stores(&mut self) {
        self.behind.clear();
    }

    /// A client's channel to the front socket.
    pub fn front_channel(&self) -> gantry_rpc::Channel {
        gantry_rpc::Channel::unix("front", self.front(), gantry_rpc::terms::open)
    }

    pub fn request<T>(&self, message: T) -> Request<T> {
        let namespace: Namespace = "test".parse().expect("a namespace");
        with_namespace(message, &namespace)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.context.shutdown().cancel();
    }
}

fn serve(socket: &Path, store: Store) -> Serving {
    let routes = Routes::new(ContentServer::new(store.clone())).add_service(CollectorServer::new(store));
    gantry_fakes::routes(socket, routes)
}

/// Waits for a condition.
pub async fn eventually(what: &str, mut is_it: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if is_it() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within 10 s");
}
