//! The metrics of all services at one address, for Prometheus.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use gantry_api::{SERVICES, metrics};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Connections at once; more wait.
const CONNECTIONS: usize = 8;
/// How long a client may take to send the head of a request.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers `GET /metrics` with what the services whose sockets are in `run` count.
pub async fn serve(listener: TcpListener, run: PathBuf) {
    let free = std::sync::Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let permit = std::sync::Arc::clone(&free).acquire_owned().await.expect("it is never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let run = run.clone();
                tokio::spawn(async move {
                    connection(stream, run).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "connection for metrics was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, run: PathBuf) {
    let service = service_fn(move |request| {
        let run = run.clone();
        async move { Ok::<_, Infallible>(answer(&request, run).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "connection for metrics ended early");
    }
}

async fn answer(request: &Request<Incoming>, run: PathBuf) -> Response<String> {
    let mut response = Response::new(String::new());
    if request.uri().path() != "/metrics" {
        *response.status_mut() = StatusCode::NOT_FOUND;
    } else if request.method() != Method::GET {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    } else {
        *response.body_mut() = metrics::collect(&run, &SERVICES).await;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE));
    }
    response
}
