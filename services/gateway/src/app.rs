//! Puts the gateway together: what all requests share, and how each passes through versions and routes.

use std::sync::Arc;
use std::time::Duration;

use gantry_http::{Body, Limits, Listener, Server, Tasks};
use http::Request;
use http::header::{HeaderName, HeaderValue};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, field};

use crate::authorization::Authorization;
use crate::call::Call;
use crate::lists::Lists;
use crate::peers::Peers;
use crate::query::Query;
use crate::response::{self, Response};
use crate::version::ApiVersion;
use crate::{caller, hijack, origin, routes};

/// Bounds on Docker's clients.
const LIMITS: Limits = Limits {
    // The process's limit of open files is the only bound.
    connections: usize::MAX,
    idle: Duration::from_secs(300),
    // Clients also send the headers of their users' settings.
    headers: 1000,
    head: 128 << 10,
    // A client may read an archive from a pipe into which a person types.
    body_pause: None,
    drain: Duration::from_secs(1),
};
/// The value of the header `Server`.
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
    /// The plugins that must allow each request.
    pub authorization: Option<Authorization>,
    server: Server,
}

impl App {
    /// An app that finds the other services' sockets in `run`.
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
            // The span has the level ERROR, so that the trace's id survives every setting of the log.
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

    /// Spawns work for clients that goes on beside their requests.
    pub fn tasks(&self) -> &Tasks {
        self.server.tasks()
    }

    /// Returns after shutdown, when all connections have ended or their time to end is over.
    pub async fn drained(&self) {
        self.server.drained().await;
    }

    async fn answer(self: Arc<Self>, request: Request<Body>) -> Response {
        let started = std::time::Instant::now();
        let app = Arc::clone(&self);
        let mut response = match (origin::check(&request), &self.authorization) {
            (Err(refused), _) => response::error(&refused),
            (Ok(()), None) => app.route(request).await,
            (Ok(()), Some(authorization)) => {
                authorization.around(request, |request| app.route(request)).await
            }
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
                    if error.is_to_log() {
                        tracing::error!(%error, "request failed");
                    }
                    response::error(&error)
                })
            }
        }
    }
}

/// Adds the headers that every response has.
fn common_headers(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("api-version"), HeaderValue::from_static("1.51"));
    headers.insert(HeaderName::from_static("docker-experimental"), HeaderValue::from_static("false"));
    headers.insert(HeaderName::from_static("ostype"), HeaderValue::from_static("linux"));
    headers.insert(http::header::SERVER, HeaderValue::from_static(SERVER));
}
