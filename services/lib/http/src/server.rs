//! The server: accepts connections, answers their requests, and ends them at shutdown.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::BodyError;
use crate::body::Body;
use crate::connection::{Connection, ImplicitUpgrade, Phase};
use crate::limits::Limits;
use crate::listener::{Accepted, Listener};
use crate::peer::Peer;
use crate::socket::Socket;
use crate::tasks::Tasks;
use crate::tls;
use crate::upgrade::{Counted, Upgradable};

/// How long the server waits after a failed accept: out of descriptors, other connections must end first.
const PAUSE: Duration = Duration::from_millis(50);
/// How many calls an HTTP/2 connection may have at a time.
const STREAMS: u32 = 256;

/// Serves the connections of any number of listeners within the same limits. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Server {
    limits: Limits,
    tasks: Tasks,
    free: Arc<Semaphore>,
    implicit: Option<ImplicitUpgrade>,
}

impl Server {
    /// A server that ends with `shutdown`.
    pub fn new(limits: Limits, shutdown: CancellationToken) -> Self {
        let free = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
        Self { limits, tasks: Tasks::new(shutdown), free, implicit: None }
    }

    /// Lets these requests take their connection over as if they had asked for it.
    #[must_use]
    pub fn implicit_upgrade(self, implicit: ImplicitUpgrade) -> Self {
        Self { implicit: Some(implicit), ..self }
    }

    /// Background work for clients, which ends with the server.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Accepts connections until shutdown, and calls `handler` for each request.
    ///
    /// The request's extensions have its [`Peer`]. The handler is dropped when its client disconnects.
    pub async fn serve<H, F, B>(&self, listener: Listener, handler: H)
    where
        H: Fn(Request<Body>) -> F + Clone + Send + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BodyError>,
    {
        // A process that is out of descriptors would say so without end.
        let mut told = false;
        loop {
            let free = Arc::clone(&self.free);
            let accepted = async {
                let permit = free.acquire_owned().await.expect("it is never closed");
                (listener.accept().await, permit)
            };
            let (accepted, permit) = tokio::select! {
                () = self.tasks.shutdown() => return,
                accepted = accepted => accepted,
            };
            match accepted {
                Ok(accepted) => {
                    told = false;
                    let (server, handler) = (self.clone(), handler.clone());
                    let counted = Arc::new(permit);
                    self.tasks.spawn_connection(async move {
                        server.accepted(accepted, counted, handler).await;
                    });
                }
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(%error, "connection was not accepted");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Returns when all connections have ended after shutdown, or their time is over.
    pub async fn drained(&self) {
        self.tasks.drained(self.limits.drain).await;
    }

    async fn accepted<H, F, B>(&self, accepted: Accepted, counted: Counted, handler: H)
    where
        H: Fn(Request<Body>) -> F + Clone + Send + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BodyError>,
    {
        let (stream, address, tls) = match accepted {
            Accepted::Plain(socket, peer) => return self.http1(socket, peer, counted, handler).await,
            Accepted::Tls(stream, address, tls) => (stream, address, tls),
        };
        match tls.accept(stream).await {
            Ok(stream) => {
                let session = stream.get_ref().1;
                let peer = Peer::of_certificate(address, session.peer_certificates());
                match session.alpn_protocol() == Some(tls::HTTP_2) {
                    true => self.http2(Socket::Tls(stream), peer, handler).await,
                    false => self.http1(Socket::Tls(stream), peer, counted, handler).await,
                }
            }
            Err(error) => tracing::debug!(%error, %address, "TLS client was refused"),
        }
    }

    async fn http1<H, F, B>(&self, socket: Socket, peer: Peer, counted: Counted, handler: H)
    where
        H: Fn(Request<Body>) -> F + Send + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BodyError>,
    {
        let phase = Phase::default();
        let connection = Connection::new(socket, phase.clone(), self.implicit);
        let upgradable = Upgradable { phase: phase.clone(), tasks: self.tasks.clone(), counted };
        let service = service_fn(move |mut request: Request<Incoming>| {
            let busy = phase.busy();
            request.extensions_mut().insert(upgradable.clone());
            request.extensions_mut().insert(peer.clone());
            let request = Body::of(request, &self.tasks, self.limits.body_pause, &busy);
            let answer = handler(request);
            async move { Ok::<_, Infallible>(answer.await.map(|body| Held { body, _held: busy })) }
        });
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.idle)
            .max_headers(self.limits.headers)
            .max_buf_size(self.limits.head)
            .title_case_headers(true)
            .serve_connection(TokioIo::new(connection), service)
            .with_upgrades();
        let mut serving = std::pin::pin!(serving);
        let served = tokio::select! {
            served = serving.as_mut() => served,
            () = self.tasks.shutdown() => {
                // The request under way is the last one.
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        ended(served);
    }

    async fn http2<H, F, B>(&self, socket: Socket, peer: Peer, handler: H)
    where
        H: Fn(Request<Body>) -> F + Send + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BodyError>,
    {
        let (calls, mut open) = watch::channel(0_usize);
        let calls = Arc::new(calls);
        let service = service_fn(move |mut request: Request<Incoming>| {
            let call = OpenCall::new(&calls);
            // HTTP/2 itself does what the phase of a connection is for.
            let busy = Phase::default().busy();
            request.extensions_mut().insert(peer.clone());
            let request = Body::of(request, &self.tasks, self.limits.body_pause, &busy);
            let answer = handler(request);
            async move { Ok::<_, Infallible>(answer.await.map(|body| Held { body, _held: call })) }
        });
        let head = u32::try_from(self.limits.head).unwrap_or(u32::MAX);
        let serving = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_header_list_size(head)
            .max_concurrent_streams(STREAMS)
            .keep_alive_interval(self.limits.idle)
            .serve_connection(TokioIo::new(socket), service);
        let mut serving = std::pin::pin!(serving);
        let served = tokio::select! {
            served = serving.as_mut() => served,
            () = async {
                tokio::select! {
                    () = self.tasks.shutdown() => {}
                    () = unused(&mut open, self.limits.idle) => {}
                }
            } => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        ended(served);
    }
}

fn ended(served: hyper::Result<()>) {
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended early");
    }
}

/// Returns when the connection has had no call for `idle`.
async fn unused(open: &mut watch::Receiver<usize>, idle: Duration) {
    loop {
        // The sender is the connection's service, which outlives this.
        let _ = open.wait_for(|open| *open == 0).await;
        if tokio::time::timeout(idle, open.wait_for(|open| *open > 0)).await.is_err() {
            return;
        }
    }
}

/// A call of an HTTP/2 connection, until its response is sent.
struct OpenCall(Arc<watch::Sender<usize>>);

impl OpenCall {
    fn new(calls: &Arc<watch::Sender<usize>>) -> Self {
        calls.send_modify(|open| *open += 1);
        Self(Arc::clone(calls))
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

/// A body that keeps a value until it is dropped.
struct Held<B, T> {
    body: B,
    _held: T,
}

impl<B: HttpBody<Data = Bytes> + Unpin, T: Unpin> HttpBody for Held<B, T>
where
    B::Error: Into<BodyError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.body).poll_frame(cx).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
