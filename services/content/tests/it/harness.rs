//! A content service in a temporary root, with a control that only knows leases, holds and events.

use std::path::Path;
use std::sync::Arc;

use gantry_api::Peers;
use gantry_api::ingest::Owner;
use gantry_api::leases::Manage as _;
use gantry_daemon::{Context, Roots, Service as _};
use gantry_fakes::{Leases, Serving};
use gantry_proto::containerd::services::content::v1 as pb;
use gantry_proto::containerd::services::content::v1::content_client::ContentClient;
use gantry_proto::containerd::services::events::v1::events_server::{self, EventsServer};
use gantry_proto::containerd::services::events::v1::{ForwardRequest, PublishRequest, SubscribeRequest};
use gantry_proto::containerd::types::Envelope;
use gantry_rpc::{Channel, context};
use gantry_types::{Digest, Labels, Namespace};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};

pub const LEASE: &str = "the-lease";

/// A running service; ends, not in order, when it is dropped.
pub struct Content {
    pub dir: tempfile::TempDir,
    pub peers: Peers,
    pub control: Control,
    shutdown: tokio_util::sync::DropGuard,
    service: Option<tokio::task::JoinHandle<()>>,
}

impl Content {
    pub async fn start() -> Content {
        Content::start_in(tempfile::tempdir_in("/dev/shm").expect("a temporary root")).await
    }

    pub async fn start_in(dir: tempfile::TempDir) -> Content {
        Content::start_with(dir, "").await
    }

    pub async fn start_with(dir: tempfile::TempDir, settings: &str) -> Content {
        let roots = Roots { state: dir.path().join("state"), run: dir.path().join("run") };
        std::fs::create_dir_all(roots.state_of("content")).expect("made");
        std::fs::create_dir_all(&roots.run).expect("made");
        let control = Control::start(&roots.socket("control")).await;
        let context = Context::for_test("content", roots.clone()).with_settings(settings);
        let shutdown = context.shutdown().clone().drop_guard();
        let service = tokio::spawn(async move {
            gantry_content::Service::run(context).await.expect("the service ends well");
        });
        let content =
            Content { peers: Peers::new(&roots.run), dir, control, shutdown, service: Some(service) };
        for _ in 0..500 {
            let answers = content.list(&moby()).await;
            match answers {
                Ok(_) => return content,
                Err(status) if status.code() == Code::Unavailable => {
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
                Err(status) => panic!("{status}"),
            }
        }
        panic!("the service did not come up");
    }

    pub fn state(&self) -> std::path::PathBuf {
        self.dir.path().join("state/content")
    }

    /// Ends the service in order; the root stays.
    pub async fn stop(mut self) -> tempfile::TempDir {
        drop(self.shutdown);
        self.service.take().expect("it runs").await.expect("no panic");
        self.dir
    }

    pub fn client(&self) -> ContentClient<Channel> {
        self.peers.content()
    }

    pub async fn list(&self, namespace: &Namespace) -> Result<Vec<pb::Info>, Status> {
        self.list_filtered(namespace, &[]).await
    }

    pub async fn list_filtered(
        &self,
        namespace: &Namespace,
        filters: &[&str],
    ) -> Result<Vec<pb::Info>, Status> {
        let request = pb::ListContentRequest { filters: filters.iter().map(ToString::to_string).collect() };
        let mut stream = self.client().list(context::with_namespace(request, namespace)).await?.into_inner();
        let mut blobs = Vec::new();
        while let Some(message) = stream.message().await? {
            blobs.extend(message.info);
        }
        Ok(blobs)
    }

    pub async fn info(&self, namespace: &Namespace, digest: &Digest) -> Result<pb::Info, Status> {
        let request = pb::InfoRequest { digest: digest.to_string() };
        let answer = self.client().info(context::with_namespace(request, namespace)).await?;
        Ok(answer.into_inner().info.expect("an info"))
    }

    pub async fn read(
        &self,
        namespace: &Namespace,
        digest: &Digest,
        offset: i64,
        size: i64,
    ) -> Result<Vec<u8>, Status> {
        let request = pb::ReadContentRequest { digest: digest.to_string(), offset, size };
        let mut stream = self.client().read(context::with_namespace(request, namespace)).await?.into_inner();
        let mut bytes = Vec::new();
        while let Some(message) = stream.message().await? {
            assert_eq!(message.offset, offset + bytes.len() as i64);
            bytes.extend(message.data);
        }
        Ok(bytes)
    }

    pub async fn delete(&self, namespace: &Namespace, digest: &Digest) -> Result<(), Status> {
        let request = pb::DeleteContentRequest { digest: digest.to_string() };
        self.client().delete(context::with_namespace(request, namespace)).await.map(drop)
    }

    pub async fn statuses(&self, namespace: &Namespace) -> Vec<pb::Status> {
        let request = context::with_namespace(pb::ListStatusesRequest::default(), namespace);
        self.client().list_statuses(request).await.expect("an answer").into_inner().statuses
    }

    /// Begins a stream of writes under a ref.
    pub async fn write(&self, namespace: &Namespace, lease: Option<&str>) -> Stream {
        let (requests, stream) = mpsc::channel(8);
        let request = context::with_lease(ReceiverStream::new(stream), namespace, lease);
        let answers = self.client().write(request).await.expect("a stream").into_inner();
        Stream { requests, answers }
    }

    /// Writes and commits bytes in one message.
    pub async fn put(
        &self,
        namespace: &Namespace,
        bytes: &[u8],
        labels: &[(&str, &str)],
    ) -> Result<Digest, Status> {
        let digest = Digest::sha256(bytes);
        let mut stream = self.write(namespace, None).await;
        let request = pb::WriteContentRequest {
            action: pb::WriteAction::Commit.into(),
            r#ref: format!("put-{digest}"),
            expected: digest.to_string(),
            total: bytes.len() as i64,
            data: bytes.to_vec().into(),
            labels: labels.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
            ..Default::default()
        };
        let answer = stream.ask(request).await?;
        assert_eq!(answer.digest, digest.to_string());
        assert_eq!(answer.offset, bytes.len() as i64);
        Ok(digest)
    }

    /// The files below a directory of the state.
    pub fn files(&self, below: &str) -> Vec<String> {
        files(&self.state().join(below))
    }
}

pub fn files(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => names.extend(files(&path)),
            false => names.push(path.display().to_string()),
        }
    }
    names
}

/// A stream of writes.
pub struct Stream {
    requests: mpsc::Sender<pb::WriteContentRequest>,
    answers: Streaming<pb::WriteContentResponse>,
}

impl Stream {
    pub async fn ask(
        &mut self,
        request: pb::WriteContentRequest,
    ) -> Result<pb::WriteContentResponse, Status> {
        // After an error the stream is closed for requests; the answer tells why.
        let _ = self.requests.send(request).await;
        match self.answers.message().await? {
            Some(answer) => Ok(answer),
            None => Err(Status::unknown("the stream has ended")),
        }
    }

    /// Half-closes, and waits until the server is done.
    pub async fn close(self) {
        let Stream { requests, mut answers } = self;
        drop(requests);
        while let Ok(Some(_)) = answers.message().await {}
    }
}

pub fn stat(reference: &str) -> pb::WriteContentRequest {
    pb::WriteContentRequest {
        action: pb::WriteAction::Stat.into(),
        r#ref: reference.to_owned(),
        ..Default::default()
    }
}

pub fn write(offset: i64, bytes: &[u8]) -> pb::WriteContentRequest {
    pb::WriteContentRequest {
        action: pb::WriteAction::Write.into(),
        offset,
        data: bytes.to_vec().into(),
        ..Default::default()
    }
}

pub fn commit(offset: i64, total: i64, expected: Option<&Digest>) -> pb::WriteContentRequest {
    pb::WriteContentRequest {
        action: pb::WriteAction::Commit.into(),
        offset,
        total,
        expected: expected.map(ToString::to_string).unwrap_or_default(),
        ..Default::default()
    }
}

pub fn moby() -> Namespace {
    Namespace::moby()
}

pub fn other() -> Namespace {
    "other".parse().expect("an identifier")
}

pub fn owner() -> Owner {
    Owner { namespace: moby(), lease: None }
}

/// Bytes that differ from place to place.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n / 7 + n / 4096) as u8).collect()
}

/// What content tells control.
pub struct Control {
    leases: Leases,
    events: Events,
    _serving: Serving,
}

#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<Envelope>>>);

impl Control {
    async fn start(socket: &Path) -> Control {
        let (leases, events) = (Leases::default(), Events::default());
        leases.create(&moby(), Some(LEASE), Labels::new()).await.expect("made");
        let routes = leases.routes().add_service(EventsServer::new(events.clone()));
        Control { leases, events, _serving: gantry_fakes::routes(socket, routes) }
    }

    /// What the lease keeps, in the order of types.
    pub fn leased(&self) -> Vec<(String, String)> {
        let kept = self.leases.kept(&moby(), LEASE).into_iter();
        kept.map(|resource| (resource.kind().to_string(), resource.key().to_owned())).collect()
    }

    /// Waits until so many events have come; their topics.
    pub async fn topics(&self, count: usize) -> Vec<String> {
        for _ in 0..500 {
            let topics: Vec<_> = self.events.0.lock().iter().map(|e| e.topic.clone()).collect();
            if topics.len() >= count {
                return topics;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("only these events came: {:?}", self.events.0.lock());
    }
}

#[tonic::async_trait]
impl events_server::Events for Events {
    type SubscribeStream = tokio_stream::Empty<Result<Envelope, Status>>;

    async fn publish(&self, _: Request<PublishRequest>) -> Result<Response<()>, Status> {
        Err(Status::unimplemented("a fake"))
    }

    async fn forward(&self, request: Request<ForwardRequest>) -> Result<Response<()>, Status> {
        self.0.lock().extend(request.into_inner().envelope);
        Ok(Response::new(()))
    }

    async fn subscribe(
        &self,
        _: Request<SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        Err(Status::unimplemented("a fake"))
    }
}
