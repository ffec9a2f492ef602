//! The wiring: what requests share, and the way of each through versions and routes.

use std::sync::Arc;
use std::time::Duration;

use gantry_http::{Body, Limits, Listener, Server, Tasks};
use http::header::{HeaderName, HeaderValue};
use http::{Request, StatusCode};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, field};

use crate::authorization::Authorization;
use crate::call::Call;
use crate::lists::Lists;
use crate::peers::Peers;
use crate::query::Query;
use crate::response::{self, Response};
use crate::version::ApiVersion;
use crate::{caller, hijack, routes};

/// What Docker's clients may do.
const LIMITS: Limits = Limits {
    // As many as the process may have files open.
    connections: usize::MAX,
    idle: Duration::from_secs(300),
    // Clients add those of their users' settings.
    headers: 1000,
    head: 128 << 10,
    // Archives come from pipes, whose other end may be a person's terminal.
    body_pause: None,
    drain: Duration::from_secs(1),
};
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
    /// Who else has to allow what is asked.
    pub authorization: Option<Authorization>,
    server: Server,
}

impl App {
    /// An app whose peers' sockets are in `run`.
    pub fn new(
        run: &std::path::Path,
        authorization: Option<Authorization>,
        shutdown: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            peers: Peers::new(run),
            run: run.to_owned(),
            lists: Lists::default(),
            authorization,
            server: Server::new(LIMITS, shutdown).implicit_upgrade(hijack::IMPLICIT),
        })
    }

    /// Accepts connections until shutdown.
    pub async fn serve(self: Arc<Self>, listener: Listener) {
        let server = self.server.clone();
        let answer = move |request: Request<Body>| {
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
            if let Some(caller) = caller::of(&request) {
                gantry_rpc::caller::attach(&span, caller);
            }
            Arc::clone(&self).answer(request).instrument(span)
        };
        server.serve(listener, answer).await;
    }

    /// What runs for clients, beside their requests.
    pub fn tasks(&self) -> &Tasks {
        self.server.tasks()
    }

    /// Returns when all connections have ended after shutdown, or have had the time for it.
    pub async fn drained(&self) {
        self.server.drained().await;
    }

    async fn answer(self: Arc<Self>, request: Request<Body>) -> Response {
        let started = std::time::Instant::now();
        let app = Arc::clone(&self);
        let mut response = match &self.authorization {
            None => app.route(request).await,
            Some(authorization) => authorization.around(request, |request| app.route(request)).await,
        };
        tracing::debug!(
            status = response.status().as_u16(),
            micros = started.elapsed().as_micros(),
            "answered"
        );
        common_headers(&mut response);
        response
    }

    async fn route(self: Arc<Self>, request: Request<Body>) -> Response {
        let path = request.uri().path().to_owned();
        match ApiVersion::strip(&path) {
            Err(error) => response::error(&error),
            Ok((version, path)) => {
                let query = Query::parse(request.uri().query());
                let call = Call { app: self, version, query, request };
                routes::dispatch(call, path).await.unwrap_or_else(|error| {
                    if error.status() == StatusCode::INTERNAL_SERVER_ERROR {
                        tracing::error!(%error, "request failed");
                    }
                    response::error(&error)
                })
            }
        }
    }
}

/// What every response carries.
fn common_headers(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("api-version"), HeaderValue::from_static("1.51"));
    headers.insert(HeaderName::from_static("docker-experimental"), HeaderValue::from_static("false"));
    headers.insert(HeaderName::from_static("ostype"), HeaderValue::from_static("linux"));
    headers.insert(http::header::SERVER, HeaderValue::from_static(SERVER));
}
