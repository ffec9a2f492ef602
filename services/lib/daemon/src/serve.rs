//! gRPC over a unix socket, with the services that every process has: health, reflection and `/metrics`.

use std::convert::Infallible;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use gantry_rpc::{Stream, carry};
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Server;
use tower::util::MapFutureLayer;

use crate::audit::Audited;
use crate::authority::Tolerant;
use crate::caller::Identified;
use crate::layers::Layers;
use crate::limit::Limited;
use crate::observe::Observed;
use crate::policy::Authorised;
use crate::reflection::Reflection;
use crate::{BoxError, Registry, metrics};

/// How long calls under way may take after the shutdown began.
const DRAIN: Duration = Duration::from_secs(1);
/// Each container has a long poll over one connection: the usual 200 streams are too few.
const STREAMS: u32 = 1 << 16;
/// How long a service without a free descriptor waits before it accepts the next connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The path of the metrics, over HTTP/1 and HTTP/2.
pub(crate) const METRICS: &str = "/metrics";

/// Cancels `shutdown` at SIGTERM or SIGINT.
pub(crate) fn end_on_signals(shutdown: CancellationToken) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    carry::beside(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        shutdown.cancel();
    });
    Ok(())
}

pub(crate) async fn serve(
    listener: UnixListener,
    routes: Routes,
    metrics: Registry,
    layers: Layers,
    tasks: TaskTracker,
    shutdown: CancellationToken,
) -> Result<(), BoxError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_service_status("", tonic_health::ServingStatus::Serving).await;
    let mut routes = routes.add_service(health_service).add_service(Reflection::default());
    let scraped = metrics.clone();
    let scrape = tower::service_fn(move |_: Request<axum::body::Body>| {
        let response = exposition(&scraped);
        async move { Ok::<_, Infallible>(response) }
    });
    let router = std::mem::take(routes.axum_router_mut());
    *routes.axum_router_mut() = router.route_service(METRICS, scrape);

    // The server itself would retry at once while there is no descriptor, and log nothing.
    let incoming = UnixListenerStream::new(listener).then(|accepted| async {
        let accepted = accepted.and_then(Stream::new).map(Tolerant::new);
        if let Err(error) = &accepted {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
        accepted
    });
    let Layers { trusted, audit, places, policy } = layers;
    let server = Server::builder()
        .accept_http1(true)
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .layer(tower::layer::layer_fn(move |inner| Identified::new(inner, trusted.clone())))
        .layer(tower::layer::layer_fn(move |inner| Observed::new(inner, metrics.clone())))
        .layer(tower::layer::layer_fn(move |inner| Audited::new(inner, audit.clone())))
        .layer(tower::layer::layer_fn(move |inner| Limited::new(inner, Arc::clone(&places))))
        .layer(tower::layer::layer_fn(move |inner| Authorised::new(inner, Arc::clone(&policy))))
        .layer(MapFutureLayer::new(move |call| caught(carry::within(tasks.clone(), call))))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, shutdown.clone().cancelled_owned());
    tokio::pin!(server);
    tokio::select! {
        result = &mut server => return Ok(result?),
        () = shutdown.cancelled() => {}
    }
    // A long poll would delay a graceful end for ever.
    match tokio::time::timeout(DRAIN, server).await {
        Ok(result) => Ok(result?),
        Err(_) => Ok(()),
    }
}

/// A call that panics gets an error; the other calls of the connection go on.
async fn caught<E>(call: impl Future<Output = Result<Response<Body>, E>>) -> Result<Response<Body>, E> {
    AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!("a call panicked");
        Ok(tonic::Status::internal("the service failed at this call; its log says how").into_http())
    })
}

fn exposition(metrics: &Registry) -> Response<Body> {
    let (status, text) = match metrics.text() {
        Ok(text) => (StatusCode::OK, text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    };
    let mut response = Response::new(Body::new(text));
    *response.status_mut() = status;
    let kind = http::HeaderValue::from_static(metrics::CONTENT_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
