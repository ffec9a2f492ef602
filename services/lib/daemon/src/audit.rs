//! The audit record: who called what, and how the call ended.
//!
//! Each call of a method that changes something, as its proto says (`gantry_proto::method`), becomes one line of JSON
//! when it ends, refused calls included. The record is off unless the setting `audit` is true.
//!
//! ```text
//! <state>/<service>/audit.log      {"time":"…","method":"gantry.engine.v1.Containers/Remove","caller":"uid=0 gid=0 pid=7",
//!                                   "object":"web","code":"OK","seconds":0.031,"trace":"…"}
//! <state>/<service>/audit.log.1    the file before, and so on
//! ```
//!
//! A call is answered when its line is queued for the thread that writes the file. When the queue is full, the call
//! waits for the thread. So every call of a living service is recorded; a killed service loses the lines in its
//! queue.

mod file;
mod object;
mod tags;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use gantry_proto::{Effect, Method};
use gantry_rpc::Caller;
use gantry_rpc::context::NAMESPACE;
use gantry_rpc::trace;
use http::{Request, Response};
use serde::Serialize;
use tonic::Code;
use tonic::body::Body;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use crate::metrics;
use crate::outcome::{Ending, Hear};

use file::File;
pub(crate) use file::Rotation;
use object::{Object, Seen};
use tags::Tags;

/// A server whose changes are recorded, if the record is on.
#[derive(Clone)]
pub(crate) struct Audited<S> {
    inner: S,
    record: Option<Record>,
}

impl<S> Audited<S> {
    pub(crate) fn new(inner: S, record: Option<Record>) -> Self {
        Self { inner, record }
    }
}

/// The audit record of a service. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    file: File,
    tags: Arc<HashMap<String, Tags>>,
}

impl Record {
    /// Opens the record in the directory of a service; appends to an existing one.
    pub(crate) fn open(state: &Path, rotation: Rotation) -> io::Result<Self> {
        Ok(Self { file: File::open(state.join("audit.log"), rotation)?, tags: Arc::new(tags::all()) })
    }
}

impl<S, R> tower::Service<Request<Body>> for Audited<S>
where
    S: tower::Service<Request<Body>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = Response<Ending<R, Entry>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = gantry_proto::method(request.uri().path());
        let (request, entry) = match (&self.record, method) {
            (Some(record), Some(method)) if method.effect != Effect::None => {
                let object = Object::default();
                let entry = Entry::new(record.clone(), method, &request, object.clone());
                (request.map(|body| Body::new(Seen::new(body, object))), Some(entry))
            }
            _ => (request, None),
        };
        let response = self.inner.call(request);
        // A call that is dropped before its response is recorded too.
        let mut entry = Dropped(entry);
        Box::pin(async move {
            let response = response.await?;
            Ok(Ending::of(response, entry.0.take()))
        })
    }
}

/// A call that has not ended.
pub(crate) struct Entry {
    record: Record,
    method: &'static Method,
    caller: Option<Caller>,
    namespace: Option<String>,
    object: Object,
    trace: Option<trace::Trace>,
    begun: Instant,
}

/// A line of the record.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    code: &'static str,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
}

impl Entry {
    fn new<B>(record: Record, method: &'static Method, request: &Request<B>, object: Object) -> Self {
        let namespace = request.headers().get(NAMESPACE).and_then(|value| value.to_str().ok());
        Self {
            record,
            method,
            caller: request.extensions().get::<Caller>().cloned(),
            namespace: namespace.map(str::to_owned),
            object,
            trace: trace::current(),
            begun: Instant::now(),
        }
    }
}

impl Hear for Entry {
    fn ended(self, code: Code) {
        let mut time = String::new();
        // Writing to a string does not fail.
        let _ = SystemTime.format_time(&mut Writer::new(&mut time));
        let line = Line {
            time,
            method: self.method.path.trim_start_matches('/'),
            caller: self.caller.map(|caller| caller.to_string()),
            namespace: self.namespace,
            object: self.record.tags.get(self.method.path).and_then(|tags| self.object.of(tags)),
            code: metrics::name(code),
            seconds: (self.begun.elapsed().as_secs_f64() * 1e6).round() / 1e6,
            trace: self.trace.map(|trace| format!("{:032x}", trace.id)),
        };
        let mut line = serde_json::to_string(&line).expect("text and numbers are JSON");
        line.push('\n');
        self.record.file.write(line);
    }
}

/// An entry that is recorded as cancelled when it is dropped.
struct Dropped(Option<Entry>);

impl Drop for Dropped {
    fn drop(&mut self) {
        if let Some(entry) = self.0.take() {
            entry.ended(Code::Cancelled);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use gantry_proto::gantry::engine::v1::RemoveRequest;
    use http_body_util::BodyExt;
    use prost::Message;
    use tonic::Status;
    use tower::ServiceExt;

    use super::*;

    /// A request with a first message, from the caller of the tests.
    fn request(path: &str, message: &impl Message) -> Request<Body> {
        let length = u32::try_from(message.encoded_len()).expect("short").to_be_bytes();
        let bytes = [&[0], &length[..], &message.encode_to_vec()].concat();
        let body = Body::new(http_body_util::Full::new(bytes::Bytes::from(bytes)));
        let mut request =
            Request::builder().uri(path).header(NAMESPACE, "moby").body(body).expect("a request");
        request.extensions_mut().insert(Caller::Process { uid: 1000, gid: 100, pid: 7 });
        request
    }

    #[tokio::test]
    async fn changes_are_recorded_with_who_what_and_how_they_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let record = Record::open(folder.path(), Rotation { size: 1 << 20, files: 2 }).expect("opened");
        let server = tower::service_fn(|request: Request<Body>| async move {
            let path = request.uri().path().to_owned();
            request.into_body().collect().await.expect("a body");
            match path.ends_with("Remove") {
                true => Ok::<_, Infallible>(Status::not_found("none").into_http::<Body>()),
                false => std::future::pending().await,
            }
        });
        let audited = Audited::new(server, Some(record));
        let web = RemoveRequest { container: "web".to_owned(), ..RemoveRequest::default() };
        let remove = request("/gantry.engine.v1.Containers/Remove", &web);
        drop(audited.clone().oneshot(remove).await.expect("never fails"));
        for path in ["/gantry.engine.v1.Containers/Get", "/gantry.engine.v1.Containers/Start"] {
            let call = audited.clone().oneshot(request(path, &web));
            let answered = tokio::time::timeout(std::time::Duration::from_millis(20), call).await;
            assert!(answered.is_err(), "it never answers");
        }
        drop(audited);
        let read = || std::fs::read_to_string(folder.path().join("audit.log")).expect("there");
        while read().lines().count() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        let text = read();
        let mut lines =
            text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        let line = lines.next().expect("a line");
        for (key, value) in [
            ("method", "gantry.engine.v1.Containers/Remove"),
            ("caller", "uid=1000 gid=100 pid=7"),
            ("namespace", "moby"),
            ("object", "web"),
            ("code", "NOT_FOUND"),
        ] {
            assert_eq!(line[key], value, "{line}");
        }
        assert!(line["seconds"].is_f64() && line["time"].is_string(), "{line}");
        let line = lines.next().expect("a line");
        assert_eq!(line["method"], "gantry.engine.v1.Containers/Start", "reading is not recorded");
        assert_eq!(line["code"], "CANCELLED", "its client has gone");
    }
}
