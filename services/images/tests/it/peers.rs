//! Small peers that behave: content, snapshots and control, and a world with the real images service among them.

mod control;

use std::time::{Duration, Instant};

use gantry_api::{Peers, diff};
use gantry_daemon::{Context, Roots, Service};
use gantry_fakes::{Content, Diff, Serving, Snapshots, Unpacker};
use gantry_proto::gantry::images::v1 as pb;
use gantry_rpc::context;
use gantry_types::Namespace;
use tempfile::TempDir;
use tonic::service::Routes;

pub use control::Control;

/// A root with the images service and its peers; it ends with this value.
pub struct World {
    pub peers: Peers,
    pub content: Content,
    pub snapshots: Snapshots,
    pub control: Control,
    pub namespace: Namespace,
    roots: Roots,
    /// A runtime of its own, so that it can end at once with all that it does.
    images: Option<tokio::runtime::Runtime>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    serving: Option<Serving>,
    _directory: TempDir,
}

impl World {
    /// Starts everything, and waits until images answers.
    pub async fn start() -> Self {
        let directory = tempfile::tempdir_in("/dev/shm").expect("a directory");
        let roots = Roots { state: directory.path().join("state"), run: directory.path().join("run") };
        std::fs::create_dir_all(roots.state_of("images")).expect("made");
        std::fs::create_dir_all(&roots.run).expect("made");
        let peers = Peers::new(&roots.run);
        let content = Content::default();
        let serving = content.serve(&roots.run);
        let snapshots = Snapshots::default();
        let differ = diff::server::service(Diff::new(&content));
        let unpacking = Unpacker::new(&snapshots, &content).routes().add_service(differ);
        let control = Control::new(content.clone());
        let tasks = vec![serve(&roots, "snapshots", unpacking), serve(&roots, "control", control.routes())];
        let images = Some(start_images(&roots));
        let namespace = Namespace::moby();
        let world = Self {
            peers,
            content,
            snapshots,
            control,
            namespace,
            roots,
            images,
            tasks,
            serving: Some(serving),
            _directory: directory,
        };
        world.settled().await;
        world
    }

    /// Ends the content service.
    pub fn lose_content(&mut self) {
        self.serving = None;
    }

    /// Ends the images service in the middle of whatever it does, and starts it again.
    pub async fn restart(&mut self) {
        let images = self.images.take().expect("started");
        let ended = tokio::task::spawn_blocking(move || images.shutdown_timeout(Duration::from_secs(5)));
        ended.await.expect("ended");
        self.images = Some(start_images(&self.roots));
        self.settled().await;
    }

    async fn settled(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Err(status) = self.peers.images().list(self.ask(pb::ListRequest::default())).await {
            assert!(Instant::now() < deadline, "images does not answer: {status}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A request in the world's namespace.
    pub fn ask<T>(&self, message: T) -> tonic::Request<T> {
        context::with_namespace(message, &self.namespace)
    }

    /// Pulls, and returns what was told.
    pub async fn pull(&self, request: pb::PullRequest) -> Result<Vec<pb::PullProgress>, tonic::Status> {
        let mut stream = self.peers.images().pull(self.ask(request)).await?.into_inner();
        let mut told = Vec::new();
        while let Some(message) = stream.message().await? {
            told.push(message);
        }
        Ok(told)
    }

    /// Waits until it is so.
    pub async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is_so().await {
            assert!(Instant::now() < deadline, "{what}: never");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// One image.
    pub async fn resolve(&self, reference: &str) -> Result<pb::Image, tonic::Status> {
        let request = pb::ResolveRequest { reference: reference.into(), ..Default::default() };
        Ok(self.peers.images().resolve(self.ask(request)).await?.into_inner())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(images) = self.images.take() {
            // Its database is closed by a thread of this process, which must not end before.
            let ending = std::thread::spawn(move || images.shutdown_timeout(Duration::from_secs(5)));
            ending.join().expect("ended");
        }
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn start_images(roots: &Roots) -> tokio::runtime::Runtime {
    let context = Context::for_test("images", roots.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.spawn(async move {
        gantry_images::Service::run(context).await.expect("images runs");
    });
    runtime
}

fn serve(roots: &Roots, name: &'static str, routes: Routes) -> tokio::task::JoinHandle<()> {
    let context = Context::for_test(name, roots.clone());
    tokio::spawn(async move {
        context.serve(routes).await.expect("a peer runs");
    })
}
