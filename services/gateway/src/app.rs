//! The wiring: listeners, connections, and the way of a request through versions and routes.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Request, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, field};

use crate::call::Call;
use crate::connection::{Busy, Connection, Phase, Socket};
use crate::listen::{Accepted, Listener};
use crate::lists::Lists;
use crate::peers::Peers;
use crate::query::Query;
use crate::received::{Received, Wait};
use crate::reply::{self, Body, BodyError, Reply};
use crate::routes;
use crate::version::ApiVersion;

/// How long a client may take to send the head of a request, or leave a connection unused.
const HEAD_PATIENCE: Duration = Duration::from_secs(300);
/// How many headers a request may have; clients add those of their users' settings.
const MAX_HEADERS: usize = 1000;
/// The longest head of a request, and what is kept of an answer that its client does not read yet.
const BUFFER: usize = 128 << 10;
/// How long requests in flight may take when the gateway is to end.
const DRAIN: Duration = Duration::from_secs(1);
/// What is answered as the server's name.
pub const SERVER: &str = concat!("Gantry/", env!("CARGO_PKG_VERSION"), " (linux)");

/// What all requests share.
#[derive(Debug)]
pub struct App {
    /// Clients of the other services.
    pub peers: Peers,
    /// The directory of sockets, as `docker info` shows it.
    pub run: std::path::PathBuf,
    /// Container lists.
    pub lists: Lists,
    /// Connections and taken-over streams.
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl App {
    /// An app whose peers' sockets are in `run`.
    pub fn new(run: &std::path::Path, shutdown: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            peers: Peers::new(run),
            run: run.to_owned(),
            lists: Lists::default(),
            tasks: TaskTracker::new(),
            shutdown,
        })
    }

    /// Accepts connections until shutdown.
    pub async fn serve(self: Arc<Self>, listener: Listener) {
        loop {
            let socket = tokio::select! {
                () = self.shutdown.cancelled() => return,
                socket = listener.accept() => socket,
            };
            match socket {
                Ok(accepted) => {
                    self.tasks.spawn(Arc::clone(&self).accepted(accepted));
                }
                Err(error) => {
                    // Out of descriptors: others must end first.
                    tracing::warn!(%error, "connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// Runs work that outlives its request; it is dropped at shutdown.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.shutdown.clone();
        let work = async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = work => {}
            }
        };
        self.tasks.spawn(work.in_current_span());
    }

    /// Returns when all connections have ended after shutdown, or have had the time for it.
    pub async fn drained(&self) {
        self.tasks.close();
        // What takes longer is a stream that would never end; it is cut with the process.
        let _ = tokio::time::timeout(DRAIN, self.tasks.wait()).await;
    }

    async fn accepted(self: Arc<Self>, accepted: Accepted) {
        match accepted {
            Accepted::Plain(socket) => self.connection(socket).await,
            Accepted::Tls(stream, tls) => match tls.accept(stream).await {
                Ok((inside, carried)) => {
                    tokio::join!(carried, self.connection(Socket::Unix(inside)));
                }
                Err(error) => tracing::debug!(%error, "TLS client was refused"),
            },
        }
    }

    async fn connection(self: Arc<Self>, socket: Socket) {
        let phase = Phase::default();
        let connection = Connection::new(socket, phase.clone());
        let shutdown = self.shutdown.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let (app, phase) = (Arc::clone(&self), phase.clone());
            let busy = Arc::new(phase.busy());
            // At the level of errors, so that no choice of what to log loses the trace.
            let span = tracing::error_span!(
                "request",
                method = %request.method(),
                path = request.uri().path(),
                trace = field::Empty,
                code = field::Empty,
                otel.name = field::Empty,
                otel.kind = field::Empty
            );
            gantry_daemon::trace::join(&span, request.uri().path(), request.headers());
            let request = received(request, &app, &busy);
            let answer = app.answer(request, phase).instrument(span);
            async move {
                Ok::<_, Infallible>(
                    answer.await.map(|body| BodyExt::boxed_unsync(Held { body, _busy: busy })),
                )
            }
        });
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_PATIENCE)
            .max_headers(MAX_HEADERS)
            .max_buf_size(BUFFER)
            .title_case_headers(true)
            .serve_connection(TokioIo::new(connection), service)
            .with_upgrades();
        let mut serving = std::pin::pin!(serving);
        let served = tokio::select! {
            served = serving.as_mut() => served,
            () = shutdown.cancelled() => {
                // The request that is being answered is the last one.
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = served {
            tracing::debug!(%error, "connection ended early");
        }
    }

    async fn answer(self: Arc<Self>, request: Request<Received>, phase: Phase) -> Reply {
        let path = request.uri().path().to_owned();
        let started = std::time::Instant::now();
        let mut reply = match ApiVersion::strip(&path) {
            Err(error) => reply::error(&error),
            Ok((version, path)) => {
                let query = Query::parse(request.uri().query());
                let call = Call { app: self, version, query, phase, request };
                routes::dispatch(call, path).await.unwrap_or_else(|error| {
                    if error.status() == StatusCode::INTERNAL_SERVER_ERROR {
                        tracing::error!(%error, "request failed");
                    }
                    reply::error(&error)
                })
            }
        };
        tracing::debug!(status = reply.status().as_u16(), micros = started.elapsed().as_micros(), "answered");
        common_headers(&mut reply);
        reply
    }
}

/// The request with a body that is taken to its end.
fn received(request: Request<Incoming>, app: &Arc<App>, busy: &Arc<Busy>) -> Request<Received> {
    let expected = request.headers().get(http::header::EXPECT);
    let wait = match expected.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        true => Wait::ForContinue,
        false => Wait::No,
    };
    request.map(|body| Received::new(body, wait, Arc::clone(app), Arc::clone(busy)))
}

/// What every reply carries.
fn common_headers(reply: &mut Reply) {
    let headers = reply.headers_mut();
    headers.insert(HeaderName::from_static("api-version"), HeaderValue::from_static("1.51"));
    headers.insert(HeaderName::from_static("docker-experimental"), HeaderValue::from_static("false"));
    headers.insert(HeaderName::from_static("ostype"), HeaderValue::from_static("linux"));
    headers.insert(http::header::SERVER, HeaderValue::from_static(SERVER));
}

/// A body that marks its connection as busy until it is gone.
struct Held {
    body: Body,
    _busy: Arc<Busy>,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
