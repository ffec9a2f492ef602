//! The front socket: every containerd service at one address.
//!
//! A call's path decides which service gets it; the call itself goes through as
//! it is, both ways, with its flow control, trailers and cancellation. Nothing is
//! parsed. To each service there is one connection, shared by all clients: its
//! window is so large that streams which nobody reads do not hold up the others.

mod body;
mod routes;

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use gantry_api::terms;
use gantry_daemon::Tolerant;
use gantry_rpc::{Channel, Stream, caller};
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;
use tonic::transport::server::Connected;

use body::Relay;

/// What one stream may have in flight.
const STREAM_WINDOW: u32 = 512 << 10;
/// What all streams of a connection may have in flight: far more than they will.
const CONNECTION_WINDOW: u32 = 1 << 30;
/// Each wait for a container is a stream.
const STREAMS: u32 = 1 << 16;
const FRAME: u32 = 64 << 10;

/// The router. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Front {
    peers: Arc<HashMap<&'static str, Channel>>,
}

impl Front {
    /// A router to the services whose sockets are in `run`.
    pub fn new(run: &Path) -> Front {
        let channel = |name: &'static str| {
            (name, Channel::to_service(name, run.join(format!("{name}.sock")), terms::of))
        };
        Front { peers: Arc::new(routes::services().map(|service| channel(service.name)).collect()) }
    }

    /// Serves until `stop`; connections get a graceful end.
    pub async fn serve(self, listener: UnixListener, stop: CancellationToken) {
        let tracker = TaskTracker::new();
        while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
            match accepted.and_then(|(socket, _)| Stream::new(socket)).map(Tolerant::new) {
                Ok(stream) => {
                    tracker.spawn(self.clone().connection(stream, stop.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "front socket: accept failed");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            }
        }
        tracker.close();
        // Long calls do not end by themselves; the process ends without them.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), tracker.wait()).await;
    }

    async fn connection(self, stream: Tolerant<Stream>, stop: CancellationToken) {
        let caller = stream.connect_info();
        let service = service_fn(move |mut request: Request<Incoming>| {
            // Replaces what the client says of itself: the service learns the true caller.
            caller::name(request.headers_mut(), caller.as_ref());
            let front = self.clone();
            async move { Ok::<_, Infallible>(front.forward(request).await) }
        });
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME)
            .max_concurrent_streams(STREAMS)
            .auto_date_header(false);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "front socket: connection ended");
        }
    }

    async fn forward(&self, request: Request<Incoming>) -> Response<Relay> {
        let Some(name) = routes::service_of(request.uri().path()) else {
            return refusal(&Status::unimplemented(format!(
                "no service here answers {}",
                request.uri().path()
            )));
        };
        let peer = self.peers.get(name).expect("every routed service has a peer");
        peer.send(request).await.map_or_else(|status| refusal(&status), |answer| answer.map(Relay::through))
    }
}

/// A response that is only a status.
fn refusal(status: &Status) -> Response<Relay> {
    let mut response = Response::new(Relay::empty());
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    write_status(status, response.headers_mut());
    response
}

/// Writes a status as gRPC's headers or trailers.
fn write_status(status: &Status, headers: &mut HeaderMap) {
    if status.add_header(headers).is_err() {
        headers.insert(Status::GRPC_STATUS, HeaderValue::from(i32::from(status.code())));
    }
}
