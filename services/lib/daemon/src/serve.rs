//! gRPC over a unix socket, with what every service answers: health, reflection,
//! one span and two metrics per call.

use std::io;
use std::time::{Duration, Instant};

use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tracing::Instrument;

use crate::{BoxError, Registry};

/// Calls in flight get this long after shutdown began.
const DRAIN: Duration = Duration::from_secs(1);
/// A long poll per container goes over one connection: the protocol's usual 200 are too few.
const STREAMS: u32 = 1 << 16;

/// Cancels `shutdown` at SIGTERM or SIGINT.
pub(crate) fn end_on_signals(shutdown: CancellationToken) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
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
    shutdown: CancellationToken,
) -> Result<(), BoxError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_service_status("", tonic_health::ServingStatus::Serving).await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(gantry_proto::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let routes = routes.add_service(health_service).add_service(reflection);

    let server = Server::builder()
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .layer(tower::layer::layer_fn(move |inner| Observed { inner, metrics: metrics.clone() }))
        .add_routes(routes)
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), shutdown.clone().cancelled_owned());
    tokio::pin!(server);
    tokio::select! {
        result = &mut server => return Ok(result?),
        () = shutdown.cancelled() => {}
    }
    // Long polls would keep a graceful end waiting for ever.
    match tokio::time::timeout(DRAIN, server).await {
        Ok(result) => Ok(result?),
        Err(_) => Ok(()),
    }
}

/// One span and two metrics per call.
#[derive(Clone)]
struct Observed<S> {
    inner: S,
    metrics: Registry,
}

impl<S, B> tower::Service<http::Request<B>> for Observed<S>
where
    S: tower::Service<http::Request<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let path = request.uri().path().to_owned();
        let trace =
            request.headers().get("traceparent").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let span = tracing::info_span!("rpc", path, trace);
        let started = Instant::now();
        let metrics = self.metrics.clone();
        let response = self.inner.call(request);
        Box::pin(
            async move {
                let result = response.await;
                metrics.observe_call(&path, started.elapsed());
                tracing::debug!(micros = started.elapsed().as_micros() as u64, "answered");
                result
            }
            .instrument(span),
        )
    }
}
