//! The metrics of all services at one address, for Prometheus.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gantry_api::metrics;
use gantry_http::{Body, Limits, Listener, Server};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use tokio_util::sync::CancellationToken;

/// A bound on requests at once, because each of them calls all services.
const LIMITS: Limits = Limits {
    connections: 8,
    idle: Duration::from_secs(30),
    headers: 100,
    head: 16 << 10,
    body_pause: Some(Duration::from_secs(30)),
    drain: Duration::ZERO,
};

/// Answers `GET /metrics` with the metrics of the services whose sockets are in `run`.
pub async fn serve(listener: Listener, run: PathBuf, shutdown: CancellationToken) {
    let answer = move |request: Request<Body>| {
        let run = run.clone();
        async move { answer(&request, &run).await }
    };
    Server::new(LIMITS, shutdown).serve(listener, answer).await;
}

async fn answer(request: &Request<Body>, run: &Path) -> Response<String> {
    let mut response = Response::new(String::new());
    if request.uri().path() != "/metrics" {
        *response.status_mut() = StatusCode::NOT_FOUND;
    } else if request.method() != Method::GET {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    } else {
        *response.body_mut() = metrics::collect(run).await;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE));
    }
    response
}
