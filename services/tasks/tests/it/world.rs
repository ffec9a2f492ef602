//! A tasks service in a temporary root, with a fake `control` that records events.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gantry_api::Peers;
use gantry_daemon::{Context, Roots};
use gantry_fakes::Serving;
use gantry_proto::containerd::services::containers::v1::{Container, CreateContainerRequest, container};
use gantry_proto::containerd::services::events::v1::events_server::{Events, EventsServer};
use gantry_proto::containerd::services::events::v1::{ForwardRequest, PublishRequest, SubscribeRequest};
use gantry_proto::containerd::services::tasks::v1::{CreateTaskRequest, ExecProcessRequest, StartRequest};
use gantry_proto::containerd::types::Envelope;
use gantry_proto::gantry::gc::v1::gc_server::{Gc, GcServer};
use gantry_proto::gantry::gc::v1::{CollectRequest, CollectResponse, HoldRequest, HoldResponse};
use gantry_rpc::context::with_namespace;
use gantry_tasks::shim::binary::SearchPath;
use gantry_types::Namespace;
use parking_lot::Mutex;
use prost::Message;
use prost_types::Any;
use rustix::fs::{FlockOperation, flock};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use crate::shim::FakeShim;

/// The largest event that the fake `control` takes, bytes.
const LARGEST: usize = 64 << 10;

/// The events that the fake `control` has received.
#[derive(Debug, Default, Clone)]
struct Control(Arc<Mutex<Vec<Envelope>>>);

#[tonic::async_trait]
impl Events for Control {
    type SubscribeStream = tokio_stream::Empty<Result<Envelope, Status>>;

    async fn publish(&self, _request: Request<PublishRequest>) -> Result<Response<()>, Status> {
        Err(Status::unimplemented("publish"))
    }

    async fn forward(&self, request: Request<ForwardRequest>) -> Result<Response<()>, Status> {
        let envelope = request.into_inner().envelope.expect("an envelope");
        if envelope.encoded_len() > LARGEST {
            return Err(Status::out_of_range("the message is too large"));
        }
        self.0.lock().push(envelope);
        Ok(Response::new(()))
    }

    async fn subscribe(
        &self,
        _request: Request<SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        Err(Status::unimplemented("subscribe"))
    }
}

#[tonic::async_trait]
impl Gc for Control {
    async fn collect(&self, _request: Request<CollectRequest>) -> Result<Response<CollectResponse>, Status> {
        Err(Status::unimplemented("collect"))
    }

    async fn hold(&self, request: Request<HoldRequest>) -> Result<Response<HoldResponse>, Status> {
        match request.into_inner().resources.iter().find(|resource| resource.key == "gone") {
            Some(resource) => Err(Status::not_found(format!("{} {}", resource.r#type, resource.key))),
            None => Ok(Response::new(HoldResponse {})),
        }
    }
}

/// The surroundings of a test.
pub struct World {
    folder: tempfile::TempDir,
    control: Control,
    control_server: Option<Serving>,
    service: Option<(Context, tokio::task::JoinHandle<()>)>,
    /// Clients.
    pub peers: Peers,
}

impl World {
    /// A running service.
    pub async fn new() -> World {
        let folder = tempfile::tempdir_in("/dev/shm").expect("a temporary root");
        for name in ["run", "state", "bin", "shims"] {
            std::fs::create_dir(folder.path().join(name)).expect("a directory");
        }
        let script = format!(
            "#!/bin/sh\n\
             while [ $# -gt 0 ]; do case $1 in -id) id=$2; shift;; -*) shift;; *) action=$1;; esac; shift; done\n\
             case $action in\n\
             start) printf '{{\"version\":3,\"address\":\"unix://{shims}/%s.sock\",\"protocol\":\"grpc\"}}' $id;;\n\
             delete) echo $id >> {shims}/deleted; printf '\\020\\211\\001';;\n\
             esac\n",
            shims = folder.path().join("shims").display()
        );
        let peers = Peers::new(&folder.path().join("run"));
        let mut world =
            World { folder, control: Control::default(), control_server: None, service: None, peers };
        world.shim_script("gantry", &script);
        world.start_control();
        world.start_service().await;
        world
    }

    pub fn shims(&self) -> PathBuf {
        self.folder.path().join("shims")
    }

    /// Installs a shell script as a shim.
    pub fn shim_script(&self, name: &str, script: &str) {
        let binary = self.folder.path().join(format!("bin/containerd-shim-{name}-v2"));
        std::fs::write(&binary, script).expect("a script");
        std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).expect("executable");
    }

    pub fn bundle(&self, id: &str) -> PathBuf {
        self.folder.path().join("run/bundles/test").join(id)
    }

    pub fn start_control(&mut self) {
        let socket = self.folder.path().join("run/control.sock");
        let control = self.control.clone();
        let routes = Routes::new(EventsServer::new(control.clone())).add_service(GcServer::new(control));
        self.control_server = Some(gantry_fakes::routes(&socket, routes));
    }

    pub fn stop_control(&mut self) {
        drop(self.control_server.take().expect("a running control"));
        let _ = std::fs::remove_file(self.folder.path().join("run/control.sock"));
    }

    pub async fn start_service(&mut self) {
        let path = self.folder.path();
        let roots = Roots { state: path.join("state"), run: path.join("run") };
        let context = Context::for_test("tasks", roots);
        let search = SearchPath::only(vec![path.join("bin")]);
        let socket = path.join("run/tasks.sock");
        let _ = std::fs::remove_file(&socket);
        let running = context.clone();
        let service =
            tokio::spawn(
                async move { gantry_tasks::app::run(running, search).await.expect("the service runs") },
            );
        self.service = Some((context, service));
        eventually("the service's socket", || socket.exists().then_some(())).await;
    }

    /// Ends the service. To its shims this looks like a kill.
    pub async fn stop_service(&mut self) {
        let (context, service) = self.service.take().expect("a running service");
        context.shutdown().cancel();
        drop(context);
        service.await.expect("the service ends");
        // A child that another test is just starting holds a copy of the lock until it executes its program.
        let state = self.folder.path().join("state/tasks/db");
        let free = || {
            let state = std::fs::File::open(&state).expect("it is there");
            flock(&state, FlockOperation::NonBlockingLockExclusive).ok()
        };
        eventually("the state is free", free).await;
    }

    pub fn request<T>(&self, message: T) -> Request<T> {
        with_namespace(message, &namespace())
    }

    /// Makes a container record.
    pub async fn container(&self, id: &str) {
        let request = self.request(CreateContainerRequest { container: Some(container(id)) });
        self.peers.container_records().create(request).await.expect("a container");
    }

    /// Makes a task.
    pub async fn create(&self, id: &str) -> Result<u32, Status> {
        let request = self.request(CreateTaskRequest { container_id: id.into(), ..Default::default() });
        self.peers.tasks().create(request).await.map(|answer| answer.into_inner().pid)
    }

    /// Starts a process.
    pub async fn start(&self, id: &str, exec: &str) -> Result<u32, Status> {
        let request = self.request(StartRequest { container_id: id.into(), exec_id: exec.into() });
        self.peers.tasks().start(request).await.map(|answer| answer.into_inner().pid)
    }

    /// Creates a container and a running task. Returns its shim.
    pub async fn running(&self, id: &str) -> FakeShim {
        self.container(id).await;
        let shim = FakeShim::start(&self.shims(), id);
        self.create(id).await.expect("a task");
        self.start(id, "").await.expect("running");
        shim
    }

    /// Adds an exec.
    pub async fn exec(&self, id: &str, exec: &str) -> Result<(), Status> {
        let request = self.request(ExecProcessRequest {
            container_id: id.into(),
            exec_id: exec.into(),
            ..Default::default()
        });
        self.peers.tasks().exec(request).await.map(|_| ())
    }

    /// The topics of the events so far; exits with their exec.
    pub fn topics(&self) -> Vec<String> {
        let events = self.control.0.lock();
        events
            .iter()
            .map(|envelope| {
                let event = envelope.event.as_ref().expect("an event");
                match gantry_proto::unpack::<gantry_proto::containerd::events::TaskExit>(event) {
                    Some(exit) => {
                        let exit = exit.expect("an exit");
                        format!("{} {} {}", envelope.topic, exit.id, exit.exit_status)
                    }
                    None => envelope.topic.clone(),
                }
            })
            .collect()
    }

    /// Waits for this many events, and a moment longer for more than that.
    pub async fn events(&self, count: usize) -> Vec<String> {
        eventually("events", || {
            let topics = self.topics();
            if topics.len() >= count { Ok(()) } else { Err(topics) }
        })
        .await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.topics()
    }
}

pub fn namespace() -> Namespace {
    "test".parse().expect("a namespace")
}

/// A record that is valid.
pub fn container(id: &str) -> Container {
    Container {
        id: id.into(),
        runtime: Some(container::Runtime { name: "io.containerd.gantry.v2".into(), options: None }),
        spec: Some(Any {
            type_url: "types.containerd.io/opencontainers/runtime-spec/1/Spec".into(),
            value: b"{\"ociVersion\":\"1.2.0\"}".to_vec(),
        }),
        ..Default::default()
    }
}

/// The result of a condition.
pub trait Look {
    fn seen(self) -> Result<(), String>;
}

impl Look for Option<()> {
    fn seen(self) -> Result<(), String> {
        self.ok_or_else(|| "not yet".into())
    }
}

impl<E: std::fmt::Debug> Look for Result<(), E> {
    fn seen(self) -> Result<(), String> {
        self.map_err(|error| format!("{error:?}"))
    }
}

/// Waits for a condition.
pub async fn eventually<L: Look>(what: &str, mut look: impl FnMut() -> L) {
    let mut last = String::new();
    for _ in 0..1000 {
        match look().seen() {
            Ok(()) => return,
            Err(error) => last = error,
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within 10 s; last: {last}");
}
