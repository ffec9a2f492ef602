//! An engine without containers: it answers for `created`, `running` and `unknown`, and offers a shim's attach socket.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use gantry_proto::gantry::engine::v1::{self as pb, data_request::Action};
use gantry_proto::gantry::shim::v1 as shim;
use gantry_rpc::data::{self, WireStatus};
use gantry_rpc::ending::Teller;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Runtime;
use tokio::sync::{Mutex as AsyncMutex, mpsc, watch};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, Response, Status, Streaming};

type Answer<T> = Result<Response<T>, Status>;
type Stream_<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// How many were started.
static ENGINES: AtomicU64 = AtomicU64::new(0);

struct Shared {
    run: PathBuf,
    created: Mutex<Option<pb::CreateRequest>>,
    /// Its first generation, which no engine before it had.
    first: u64,
    changes: AtomicUsize,
    listed: AtomicUsize,
    exit: watch::Sender<Option<i64>>,
    exec_exit: watch::Sender<Option<i32>>,
    exec_started: AtomicBool,
    waiting: AtomicUsize,
    unpacking: Arc<AtomicUsize>,
    following: AtomicUsize,
    connected: AtomicBool,
    shims: AsyncMutex<mpsc::Receiver<Shim>>,
}

/// One client at the shim's socket.
pub struct Shim {
    pub wanted: shim::AttachRequest,
    stream: UnixStream,
}

impl Shim {
    pub async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("sent");
    }

    pub async fn read_to_end(&mut self) -> String {
        let mut text = String::new();
        self.stream.read_to_string(&mut text).await.expect("read");
        text
    }
}

/// The engine, which ends when it is dropped.
pub struct Engine {
    shared: Arc<Shared>,
    /// Of its own, so that its connections end with it as a process's do.
    runtime: Option<Runtime>,
}

impl Engine {
    pub fn start(run: &Path) -> Self {
        let (shims, receiver) = mpsc::channel(8);
        let shared = Arc::new(Shared {
            run: run.to_owned(),
            created: Mutex::new(None),
            first: ENGINES.fetch_add(1, Ordering::SeqCst) * 1000 + 1,
            changes: AtomicUsize::new(0),
            listed: AtomicUsize::new(0),
            exit: watch::channel(None).0,
            exec_exit: watch::channel(None).0,
            exec_started: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            unpacking: Arc::default(),
            following: AtomicUsize::new(0),
            connected: AtomicBool::new(false),
            shims: AsyncMutex::new(receiver),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let entered = runtime.enter();
        let bind = |name: &str| gantry_rpc::socket::bind(&run.join(name), 0o600).expect("bound");
        let server = tonic::transport::Server::builder()
            .add_service(pb::containers_server::ContainersServer::new(Containers(Arc::clone(&shared))))
            .add_service(pb::execs_server::ExecsServer::new(Execs(Arc::clone(&shared))))
            .add_service(pb::system_server::SystemServer::new(System))
            .serve_with_incoming(UnixListenerStream::new(bind("engine.sock")));
        runtime.spawn(async move { server.await.expect("served") });
        runtime.spawn(attach_socket(bind("attach.sock"), shims));
        runtime.spawn(data_socket(bind("engine-data.sock"), Arc::clone(&shared)));
        drop(entered);
        Self { shared, runtime: Some(runtime) }
    }

    pub fn kill(self) {
        drop(self);
    }

    pub fn created(&self) -> pb::CreateRequest {
        self.shared.created.lock().expect("not poisoned").take().expect("something was created")
    }

    /// Changes what it lists.
    pub fn change(&self) {
        self.shared.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// How often it gave a whole list.
    pub fn listed(&self) -> usize {
        self.shared.listed.load(Ordering::SeqCst)
    }

    pub fn exit(&self, code: i64) {
        self.shared.exit.send_replace(Some(code));
    }

    pub fn end_exec(&self, code: i32) {
        self.shared.exec_exit.send_replace(Some(code));
    }

    pub fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::SeqCst)
    }

    /// Archives that are being taken.
    pub fn unpacking(&self) -> usize {
        self.shared.unpacking.load(Ordering::SeqCst)
    }

    /// Logs that somebody has begun to follow.
    pub fn following(&self) -> usize {
        self.shared.following.load(Ordering::SeqCst)
    }

    pub fn connected(&self) -> bool {
        self.shared.connected.load(Ordering::SeqCst)
    }

    /// The next client at the shim's socket.
    pub async fn shim(&self) -> Shim {
        self.shared.shims.lock().await.recv().await.expect("a client")
    }

    pub async fn waited(&self) {
        self.until("a wait is registered", |engine| engine.waiting() > 0).await;
    }

    pub async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..1000 {
            if holds(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never happened: {what}");
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn attach_socket(listener: UnixListener, shims: mpsc::Sender<Shim>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let wanted =
            data::receive::<shim::AttachRequest>(&mut stream).await.expect("read").expect("a request");
        data::accept(&mut stream, &shim::AttachReply { terminal: false }, &[]).await.expect("answered");
        if shims.send(Shim { wanted, stream }).await.is_err() {
            return;
        }
    }
}

async fn data_socket(listener: UnixListener, shared: Arc<Shared>) {
    let unpacking = &shared.unpacking;
    while let Ok((mut stream, _)) = listener.accept().await {
        let request = data::receive::<pb::DataRequest>(&mut stream).await.expect("read").expect("a request");
        match request.action.expect("an action") {
            Action::Logs(logs) if logs.container == "unknown" => {
                let _ = data::reject(&mut stream, &Status::not_found("No such container: unknown")).await;
            }
            Action::Logs(logs) if logs.follow => {
                let mut exit = shared.exit.subscribe();
                shared.following.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let teller =
                        Teller::accept(&mut stream, &pb::LogsReply { tty: false }).await.expect("sent");
                    let _ = stream.write_all(b"\x01\0\0\0\0\0\0\x04log\n").await;
                    if exit.wait_for(Option::is_some).await.is_ok() {
                        let _ = stream.write_all(b"\x01\0\0\0\0\0\0\x05more\n").await;
                        teller.is_whole();
                    }
                });
            }
            Action::Logs(logs) => {
                let teller = Teller::accept(&mut stream, &pb::LogsReply { tty: false }).await.expect("sent");
                let _ = stream.write_all(b"\x01\0\0\0\0\0\0\x04log\n").await;
                // One whose last lines were asked for dies before it is through.
                if logs.tail < 0 {
                    teller.is_whole();
                }
            }
            Action::ArchiveGet(get) => {
                let name = get.path.rsplit('/').next().unwrap_or("").to_owned();
                let stat = pb::PathStat { name, size: 3, mode: 0o644, ..pb::PathStat::default() };
                let _ = data::accept(&mut stream, &stat, &[]).await;
                let _ = stream.write_all(b"tar").await;
                if get.path != "/cut" {
                    let _ = stream.write_all(&[0; 1024]).await;
                }
            }
            Action::ArchivePut(_) => {
                let _ = data::accept(&mut stream, &(), &[]).await;
                let mut archive = String::new();
                unpacking.fetch_add(1, Ordering::SeqCst);
                stream.read_to_string(&mut archive).await.expect("read");
                unpacking.fetch_sub(1, Ordering::SeqCst);
                let code = if archive == "full" { 0 } else { tonic::Code::InvalidArgument as i32 };
                let _ =
                    data::send(&mut stream, &WireStatus { code, message: format!("not a tar: {archive}") })
                        .await;
            }
            other => panic!("unexpected {other:?}"),
        }
    }
}

struct Containers(Arc<Shared>);

fn known(container: &str) -> Result<(), Status> {
    if container == "unknown" { Err(Status::not_found("No such container: unknown")) } else { Ok(()) }
}

fn not_here<T>() -> Answer<T> {
    Err(Status::unimplemented("not in this engine"))
}

#[tonic::async_trait]
impl pb::containers_server::Containers for Containers {
    async fn create(&self, request: Request<pb::CreateRequest>) -> Answer<pb::CreateResponse> {
        *self.0.created.lock().expect("not poisoned") = Some(request.into_inner());
        Ok(Response::new(pb::CreateResponse { id: "abc".into(), warnings: vec![] }))
    }

    async fn start(&self, request: Request<pb::StartRequest>) -> Answer<pb::StartResponse> {
        known(&request.get_ref().container)?;
        Ok(Response::new(pb::StartResponse { already_started: request.get_ref().container == "running" }))
    }

    async fn kill(&self, request: Request<pb::KillRequest>) -> Answer<pb::ContainerResponse> {
        let kill = request.into_inner();
        match (kill.container.as_str(), kill.signal.as_str()) {
            (_, "FOO") => Err(Status::invalid_argument("invalid signal: FOO")),
            ("created", _) => Err(Status::aborted("container created is not running")),
            _ => Ok(Response::new(pb::ContainerResponse {})),
        }
    }

    async fn remove(&self, request: Request<pb::RemoveRequest>) -> Answer<pb::ContainerResponse> {
        if !request.get_ref().force {
            return Err(Status::aborted("container is running"));
        }
        Ok(Response::new(pb::ContainerResponse {}))
    }

    async fn list(&self, request: Request<pb::ListRequest>) -> Answer<pb::ListResponse> {
        let request = request.get_ref();
        let changes = self.0.changes.load(Ordering::SeqCst);
        let generation = if request.size { 0 } else { self.0.first + changes as u64 };
        if generation != 0 && generation == request.newer_than {
            return Ok(Response::new(pb::ListResponse { generation, unchanged: true, containers: vec![] }));
        }
        self.0.listed.fetch_add(1, Ordering::SeqCst);
        let containers = (0..100).map(|index| pb::ContainerSummary {
            id: format!("{index:064}"),
            name: format!("c{index}"),
            image: format!("image:{changes}"),
            ..Default::default()
        });
        Ok(Response::new(pb::ListResponse { containers: containers.collect(), generation, unchanged: false }))
    }

    type WaitStream = Stream_<pb::WaitResponse>;

    async fn wait(&self, request: Request<pb::WaitRequest>) -> Answer<Self::WaitStream> {
        known(&request.get_ref().container)?;
        struct Waiting(Arc<Shared>);
        impl Drop for Waiting {
            fn drop(&mut self) {
                self.0.waiting.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.0.waiting.fetch_add(1, Ordering::SeqCst);
        let waiting = Waiting(Arc::clone(&self.0));
        let mut exit = self.0.exit.subscribe();
        let registered = pb::WaitResponse { event: Some(pb::wait_response::Event::Registered(true)) };
        let result = stream::once(async move {
            let _waiting = waiting;
            let code = exit.wait_for(Option::is_some).await.ok().and_then(|code| *code).unwrap_or(-1);
            let exit = pb::wait_response::Exit { status_code: code, error: String::new() };
            Ok(pb::WaitResponse { event: Some(pb::wait_response::Event::Exit(exit)) })
        });
        Ok(Response::new(Box::pin(stream::iter([Ok(registered)]).chain(result))))
    }

    type AttachStream = Stream_<pb::AttachResponse>;

    async fn attach(&self, request: Request<Streaming<pb::AttachRequest>>) -> Answer<Self::AttachStream> {
        use pb::attach_request::Message as Ask;
        use pb::attach_response::{Message, Opened};
        let mut asks = request.into_inner();
        let Some(Ask::Open(open)) = asks.message().await?.and_then(|ask| ask.message) else {
            return not_here();
        };
        known(&open.container)?;
        let opened =
            Message::Opened(Opened { id: "abc".into(), tty: false, open_stdin: true, stdin_once: true });
        let socket = self.0.run.join("attach.sock").display().to_string();
        let point =
            Message::Point(pb::AttachPoint { socket, exec_id: String::new(), tty: false, stdin_once: true });
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move {
            if let Ok(Some(pb::AttachRequest { message: Some(Ask::Connected(true)) })) = asks.message().await
            {
                shared.connected.store(true, Ordering::SeqCst);
            }
            while let Ok(Some(_)) = asks.message().await {}
        });
        let late = stream::once(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(pb::AttachResponse { message: Some(point) })
        });
        let first = pb::AttachResponse { message: Some(opened) };
        Ok(Response::new(Box::pin(stream::iter([Ok(first)]).chain(late).chain(stream::pending()))))
    }

    type StatsStream = Stream_<pb::StatsResponse>;

    async fn stats(&self, _: Request<pb::StatsRequest>) -> Answer<Self::StatsStream> {
        not_here()
    }
    async fn stop(&self, _: Request<pb::StopRequest>) -> Answer<pb::StopResponse> {
        not_here()
    }
    async fn restart(&self, _: Request<pb::StopRequest>) -> Answer<pb::StopResponse> {
        not_here()
    }
    async fn pause(&self, _: Request<pb::ContainerRequest>) -> Answer<pb::ContainerResponse> {
        not_here()
    }
    async fn commit(&self, _: Request<pb::CommitRequest>) -> Answer<pb::CommitResponse> {
        not_here()
    }
    async fn unpause(&self, _: Request<pb::ContainerRequest>) -> Answer<pb::ContainerResponse> {
        not_here()
    }
    async fn rename(&self, _: Request<pb::RenameRequest>) -> Answer<pb::ContainerResponse> {
        not_here()
    }
    async fn update(&self, _: Request<pb::UpdateRequest>) -> Answer<pb::UpdateResponse> {
        not_here()
    }
    async fn get(&self, request: Request<pb::GetRequest>) -> Answer<pb::Container> {
        if request.get_ref().container != "followed" {
            return not_here();
        }
        let ended = self.0.exit.borrow().is_some();
        let status = if ended { pb::Status::Exited } else { pb::Status::Running };
        let log = pb::LogConfig { r#type: "json-file".into(), ..Default::default() };
        Ok(Response::new(pb::Container {
            state: Some(pb::State { status: status.into(), ..Default::default() }),
            host_config: Some(pb::HostConfig { log_config: Some(log), ..Default::default() }),
            ..Default::default()
        }))
    }
    async fn resize(&self, _: Request<pb::ResizeRequest>) -> Answer<pb::ContainerResponse> {
        not_here()
    }
    async fn top(&self, _: Request<pb::TopRequest>) -> Answer<pb::TopResponse> {
        not_here()
    }
    async fn changes(&self, _: Request<pb::ContainerRequest>) -> Answer<pb::ChangesResponse> {
        not_here()
    }
    async fn prune(&self, _: Request<pb::PruneRequest>) -> Answer<pb::PruneResponse> {
        not_here()
    }
    async fn connect(&self, _: Request<pb::ConnectRequest>) -> Answer<pb::ContainerResponse> {
        not_here()
    }
    async fn disconnect(&self, _: Request<pb::DisconnectRequest>) -> Answer<pb::ContainerResponse> {
        not_here()
    }
}

struct Execs(Arc<Shared>);

#[tonic::async_trait]
impl pb::execs_server::Execs for Execs {
    type StartStream = Stream_<pb::ExecStartResponse>;

    async fn create(&self, _: Request<pb::ExecCreateRequest>) -> Answer<pb::ExecCreateResponse> {
        not_here()
    }

    async fn start(&self, request: Request<Streaming<pb::ExecStartRequest>>) -> Answer<Self::StartStream> {
        use pb::exec_start_request::Message as Ask;
        use pb::exec_start_response::Message;
        let mut asks = request.into_inner();
        let Some(Ask::Open(open)) = asks.message().await?.and_then(|ask| ask.message) else {
            return not_here();
        };
        if open.detach {
            let started = pb::ExecStartResponse { message: Some(Message::Started(1)) };
            return Ok(Response::new(Box::pin(stream::iter([Ok(started)]))));
        }
        let socket = self.0.run.join("attach.sock").display().to_string();
        let point = pb::AttachPoint { socket, exec_id: open.id.clone(), tty: false, stdin_once: true };
        let point = pb::ExecStartResponse { message: Some(Message::Point(point)) };
        let bad = open.id == "bad";
        self.0.exec_started.store(!bad, Ordering::Relaxed);
        let verdict = stream::once(async move {
            let _ = asks.message().await;
            if bad {
                return Err(Status::invalid_argument("executable file not found in $PATH"));
            }
            Ok(pb::ExecStartResponse { message: Some(Message::Started(1)) })
        });
        Ok(Response::new(Box::pin(stream::iter([Ok(point)]).chain(verdict))))
    }

    async fn get(&self, request: Request<pb::ExecRequest>) -> Answer<pb::Exec> {
        let id = request.into_inner().id;
        if id == "unknown" {
            return Err(Status::not_found("No such exec instance: unknown"));
        }
        let exit_code = *self.0.exec_exit.borrow();
        let spec = pb::ExecCreateRequest {
            attach_stdout: true,
            attach_stderr: true,
            cmd: vec!["true".into()],
            ..Default::default()
        };
        let running = exit_code.is_none() && self.0.exec_started.load(Ordering::Relaxed);
        Ok(Response::new(pb::Exec { id, running, exit_code, spec: Some(spec), ..Default::default() }))
    }

    async fn resize(&self, _: Request<pb::ExecResizeRequest>) -> Answer<pb::ContainerResponse> {
        not_here()
    }
}

struct System;

#[tonic::async_trait]
impl pb::system_server::System for System {
    type EventsStream = Stream_<pb::Event>;

    async fn events(&self, request: Request<pb::EventsRequest>) -> Answer<Self::EventsStream> {
        let event = |action: &str| {
            Ok(pb::Event { r#type: "container".into(), action: action.into(), ..pb::Event::default() })
        };
        let past = stream::iter([event("start"), event("die")]);
        Ok(Response::new(if request.get_ref().until.is_some() {
            Box::pin(past)
        } else {
            Box::pin(past.chain(stream::pending()))
        }))
    }

    async fn publish(&self, _: Request<pb::Event>) -> Answer<pb::PublishResponse> {
        Ok(Response::new(pb::PublishResponse {}))
    }

    async fn info(&self, _: Request<pb::InfoRequest>) -> Answer<pb::InfoResponse> {
        Ok(Response::new(pb::InfoResponse::default()))
    }
}
