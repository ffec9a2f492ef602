//! The server: its methods, and the dispatch of calls.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use gantry_http::{BodyError, Limits};
use gantry_plugin::interface;
use gantry_plugin::wire::Manifest;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::at::At;
use crate::error::{Error, Result};

/// Most bytes of a request. An engine shows an authorization plugin up to 4 MiB of a request's body, in base64, which
/// is a third longer.
const QUESTION: usize = 8 << 20;
/// The media type of the protocol's documents.
const MEDIA_TYPE: &str = "application/vnd.docker.plugins.v1.2+json";

/// How long background tasks may take to end with the server.
const REST: Duration = Duration::from_secs(10);

/// The body of an answer: a document, or a stream.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

type Method = Arc<dyn Fn(Bytes) -> BoxFuture<'static, Result<Body>> + Send + Sync>;

/// A plugin under construction. Cheap to clone.
#[derive(Clone, Default)]
pub struct Server {
    implements: Vec<String>,
    methods: BTreeMap<String, Method>,
    /// Methods that answer with a stream. Their errors are sent as a status, because a stream cannot contain the
    /// error document.
    streams: BTreeSet<String>,
    /// Background tasks that end with the server.
    pub(crate) tasks: TaskTracker,
    pub(crate) ending: CancellationToken,
}

/// A refusal as a document.
#[derive(Serialize)]
struct Refusal {
    #[serde(rename = "Err")]
    error: String,
    /// The field in which IPAM drivers send an error.
    #[serde(rename = "Error", skip_serializing_if = "Option::is_none")]
    allocator: Option<String>,
}

/// The answer of a method without a result.
#[derive(Serialize)]
struct Answer<R> {
    #[serde(flatten)]
    answer: R,
    #[serde(rename = "Err")]
    error: &'static str,
}

impl Server {
    /// A server without methods.
    pub fn new() -> Server {
        Server::default()
    }

    /// Declares that the plugin implements one of the [`interface`](crate::interface)s, whose methods must be added.
    #[must_use]
    pub fn implements(mut self, interface: &str) -> Server {
        self.implements.push(interface.to_owned());
        self
    }

    /// Adds a method (`Interface.Method`) that answers with a document.
    #[must_use]
    pub fn method<Q, R, F, W>(self, name: &str, work: W) -> Server
    where
        Q: DeserializeOwned + Send + 'static,
        R: Serialize + Send + 'static,
        F: Future<Output = Result<R>> + Send + 'static,
        W: Fn(Q) -> F + Send + Sync + 'static,
    {
        let work = Arc::new(work);
        self.answering(name, move |question| {
            let work = Arc::clone(&work);
            Box::pin(
                async move { Ok(document(&Answer { answer: work(read(&question)?).await?, error: "" })) },
            )
        })
    }

    /// Adds a method that answers with a stream, such as `LogDriver.ReadLogs`.
    #[must_use]
    pub fn stream<Q, F, W>(mut self, name: &str, work: W) -> Server
    where
        Q: DeserializeOwned + Send + 'static,
        F: Future<Output = Result<Body>> + Send + 'static,
        W: Fn(Q) -> F + Send + Sync + 'static,
    {
        let work = Arc::new(work);
        self.streams.insert(name.to_owned());
        self.answering(name, move |question| {
            let work = Arc::clone(&work);
            Box::pin(async move { work(read(&question)?).await })
        })
    }

    fn answering(
        mut self,
        name: &str,
        method: impl Fn(Bytes) -> BoxFuture<'static, Result<Body>> + Send + Sync + 'static,
    ) -> Server {
        self.methods.insert(name.to_owned(), Arc::new(method));
        self
    }

    /// Serves until SIGTERM or SIGINT.
    ///
    /// # Errors
    ///
    /// The address cannot be used.
    pub async fn serve(self, at: &At) -> io::Result<()> {
        let (mut terminated, mut interrupted) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let shutdown = CancellationToken::new();
        let told = shutdown.clone();
        let serving = self.serve_until(at, shutdown);
        tokio::pin!(serving);
        tokio::select! {
            done = &mut serving => return done,
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
        told.cancel();
        serving.await
    }

    /// Serves until `shutdown`.
    ///
    /// # Errors
    ///
    /// The address cannot be used.
    pub async fn serve_until(self, at: &At, shutdown: CancellationToken) -> io::Result<()> {
        let (listener, _taken) = at.listen().await?;
        tracing::info!(?at, "plugin is ready");
        let server = gantry_http::Server::new(Limits::default(), shutdown);
        let (tasks, ending) = (self.tasks.clone(), self.ending.clone());
        let this = Arc::new(self);
        let handler = move |request: Request<gantry_http::Body>| {
            let this = Arc::clone(&this);
            async move { this.answer(request).await }
        };
        server.serve(listener, handler).await;
        server.drained().await;
        ending.cancel();
        tasks.close();
        if tokio::time::timeout(REST, tasks.wait()).await.is_err() {
            tracing::warn!(left = tasks.len(), "the plugin ends in the midst of its work");
        }
        Ok(())
    }

    async fn answer(&self, request: Request<gantry_http::Body>) -> Response<Body> {
        let name = request.uri().path().trim_start_matches('/').to_owned();
        if request.method() != http::Method::POST {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "POST is the only method");
        }
        if name == "Plugin.Activate" {
            return answered(document(&Manifest { implements: self.implements.clone() }));
        }
        let Some(method) = self.methods.get(&name) else {
            return plain(StatusCode::NOT_FOUND, &format!("{name}: no such method"));
        };
        let question = match Limited::new(request.into_body(), QUESTION).collect().await {
            Ok(whole) => whole.to_bytes(),
            Err(error) => return plain(StatusCode::BAD_REQUEST, &error.to_string()),
        };
        match method(question).await {
            Ok(body) => answered(body),
            Err(error) => {
                tracing::info!(method = name, %error, "refused");
                let error = error.to_string();
                let allocator = name.starts_with(interface::IPAM).then(|| error.clone());
                let mut response = answered(document(&Refusal { error, allocator }));
                if self.streams.contains(&name) {
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                }
                response
            }
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("implements", &self.implements).finish_non_exhaustive()
    }
}

/// Some clients send an empty body for an empty document.
fn read<Q: DeserializeOwned>(question: &[u8]) -> Result<Q> {
    let text = if question.iter().all(u8::is_ascii_whitespace) { b"{}" } else { question };
    serde_json::from_slice(text).map_err(|error| Error::about("not a question of this protocol", error))
}

fn document(answer: &impl Serialize) -> Body {
    let text = serde_json::to_vec(answer).expect("documents have text keys");
    Full::from(text).map_err(|never| match never {}).boxed_unsync()
}

fn answered(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let kind = http::HeaderValue::from_static(MEDIA_TYPE);
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let body = Full::from(text.to_owned()).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
