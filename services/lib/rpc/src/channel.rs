//! Channels to peers.
//!
//! A call is one HTTP/2 stream of a shared connection, which tonic keeps. Each call has a limit ([`Bound`]), and
//! carries on the trace, the caller and the deadline of its context.

mod answer;
mod budget;
mod connector;
mod request;
#[cfg(test)]
mod tests;
mod timer;

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as HttpBody;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::transport::Endpoint;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::{Service, ServiceExt};

use crate::BoxError;
use crate::terms::{Bound, Of};
use crate::{caller, deadline, trace};

pub use answer::Answer;
use budget::Budget;
use connector::Connector;
use timer::Timer;

/// How many bytes a stream may have in flight.
const STREAM_WINDOW: u32 = 1 << 20;
/// How many bytes all streams of a connection may have in flight: far more than they need, so that streams whose data
/// is not read do not hold up the others.
const CONNECTION_WINDOW: u32 = 1 << 30;
/// The largest frame of a message in bytes.
const FRAME: u32 = 256 << 10;
/// While calls wait and the service has sent nothing for this long, the channel sends a PING (RFC 9113, 6.7), which a
/// service answers independently of its calls. A stopped process, or one in which nothing runs any more, keeps its
/// connections open and does not answer.
const INTERVAL: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 10_000 });
/// How long the answer to a PING may take: longer than on the busiest host.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 200 } else { 10_000 });
/// How long work beside a call runs before the channel asks whether its peer is alive; most work is done by then.
const SHORT_WORK: Duration = Duration::from_millis(if cfg!(test) { 10 } else { 1_000 });

/// A channel to a gRPC server. Its calls carry the trace and the caller of the current span. A call without a
/// response, because no process listens, the connection breaks or the peer does not answer PINGs, fails with
/// `UNAVAILABLE` and names the peer; so does a stream that breaks. A call whose response does not arrive in time
/// fails with `DEADLINE_EXCEEDED`, and names the peer and the method. Dropping a response cancels the call. Cheap to
/// clone.
#[derive(Debug, Clone)]
pub struct Channel {
    peer: &'static str,
    terms: Of,
    inner: tonic::transport::Channel,
}

impl Channel {
    /// A channel with these terms to the gRPC server on the unix socket `path`. It connects at its first use, and
    /// again after the server has restarted; until then calls fail, naming `peer`.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn unix(peer: &'static str, path: PathBuf, terms: Of) -> Self {
        Self {
            peer,
            terms,
            inner: endpoint().connect_with_connector_lazy(Connector::new(path, Budget::none())),
        }
    }

    /// A channel to one of Gantry's services. While the service does not listen, calls wait for a moment, because its
    /// supervisor starts it again. The channel sends PINGs, which servers of others may take for an attack.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn to_service(peer: &'static str, path: PathBuf, terms: Of) -> Self {
        let endpoint = endpoint().http2_keep_alive_interval(INTERVAL).keep_alive_timeout(PATIENCE);
        let connector = Connector::new(path, Budget::full());
        Self { peer, terms, inner: endpoint.connect_with_connector_lazy(connector) }
    }

    /// Sends a call as it is, with its deadline, and waits for the head of the response. A deadline in the request
    /// overrides the terms.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` without a response; `DEADLINE_EXCEEDED` without one in time; the status with which the server
    /// reset the call.
    pub async fn send<B>(&self, mut request: Request<B>) -> Result<Response<Answer>, Status>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let bound = (self.terms)(request.uri().path());
        let timer = limit(bound, request.headers_mut()).map(|limit| Timer::new(self.peer, &request, limit));
        let (head, body) = request.into_parts();
        let (body, wanted) = request::Bound::new(body);
        let begun = self.inner.clone().oneshot(Request::from_parts(head, Body::new(body)));
        let response = match &timer {
            Some(timer) => timer.bound(begun).await?,
            None => begun.await,
        };
        let response = response.map_err(|error| match &timer {
            // The connection enforces the same deadline, which was sent to the peer.
            Some(timer) if is::<tonic::TimeoutExpired>(&error) => timer.late(),
            _ => unheard(self.peer, Status::from_error(error.into())),
        })?;
        Ok(Answer::of(self.peer, response, timer, wanted))
    }

    /// Does work beside a call, on a data socket of the same peer, as long as the peer shows that it is alive. Where
    /// the peer accepts no call, the work alone decides.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` when the peer is not alive; the work's own.
    pub async fn while_alive<T>(&self, work: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        tokio::select! {
            done = work => done,
            status = self.silence() => Err(status),
        }
    }

    /// Returns when the peer is not alive, with the status for the waiting calls.
    async fn silence(&self) -> Status {
        tokio::time::sleep(SHORT_WORK).await;
        let channel = Self { terms: |_| Bound::Alive, ..self.clone() };
        let watched = async {
            let mut health =
                HealthClient::new(channel).watch(HealthCheckRequest::default()).await?.into_inner();
            while health.message().await?.is_some() {}
            Ok::<_, Status>(())
        };
        match watched.await {
            Err(status) if is::<Silence>(&status) => status,
            Ok(()) | Err(_) => std::future::pending().await,
        }
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Answer>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answer>, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        trace::inject(request.headers_mut());
        caller::inject(request.headers_mut());
        let channel = self.clone();
        Box::pin(async move { channel.send(request).await })
    }
}

fn endpoint() -> Endpoint {
    Endpoint::from_static("http://localhost")
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
}

/// The deadline of a call, which is also sent to the peer; `None`: no limit.
fn limit(bound: Bound, headers: &mut HeaderMap) -> Option<Duration> {
    if let Some(said) = deadline::of(headers) {
        return Some(deadline::left().map_or(said, |left| left.min(said)));
    }
    let limit = match (bound, deadline::left()) {
        (Bound::Open, _) => None,
        (Bound::Alive, left) => left,
        (Bound::Within(limit), left) => Some(left.map_or(limit, |left| left.min(limit))),
    };
    if let Some(limit) = limit {
        deadline::tell(headers, limit);
    }
    limit
}

/// Why a connection was given up.
#[derive(Debug)]
struct Silence;

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it has not answered for {} seconds", PATIENCE.as_secs())
    }
}

impl Error for Silence {}

/// Distinguishes a broken connection from a response: a status from a response has no source error.
fn unheard(peer: &str, status: Status) -> Status {
    let Some(mut cause) = status.source() else { return status };
    if !matches!(status.code(), Code::Unavailable | Code::Cancelled | Code::Internal | Code::Unknown) {
        return status;
    }
    loop {
        if cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_timeout) {
            return away(peer, Silence);
        }
        let Some(deeper) = cause.source() else { return away(peer, Told(cause.to_string())) };
        cause = deeper;
    }
}

fn away(peer: &str, cause: impl Error + Send + Sync + 'static) -> Status {
    let mut status = Status::unavailable(format!("service {peer} is away: {cause}"));
    status.set_source(Arc::new(cause));
    status
}

/// A cause as text.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Told(String);

/// Whether the error, or one of its sources, has this type.
fn is<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    error.is::<E>() || error.source().is_some_and(is::<E>)
}
