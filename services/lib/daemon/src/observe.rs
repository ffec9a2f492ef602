//! One span and two metrics for each call.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use gantry_rpc::{Caller, caller, deadline};
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use tonic::{Code, Status};
use tracing::{Instrument, Span, field};

use crate::{Registry, metrics, serve, trace};

/// A gRPC server whose calls are seen.
#[derive(Clone)]
pub(crate) struct Observed<S> {
    inner: S,
    metrics: Registry,
}

impl<S> Observed<S> {
    pub(crate) fn new(inner: S, metrics: Registry) -> Self {
        Self { inner, metrics }
    }
}

impl<S, B, R> tower::Service<Request<B>> for Observed<S>
where
    S: tower::Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = Response<Counted<R>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path().to_owned();
        if path == serve::METRICS {
            let response = self.inner.call(request);
            return Box::pin(async { Ok(response.await?.map(|body| Counted { body, call: None })) });
        }
        // At the level of errors, so that no choice of what to log loses the trace.
        let span = tracing::error_span!(
            "rpc",
            path,
            trace = field::Empty,
            code = field::Empty,
            otel.name = field::Empty,
            otel.kind = field::Empty
        );
        trace::join(&span, &path, request.headers());
        if let Some(caller) = request.extensions().get::<Caller>() {
            caller::attach(&span, caller.clone());
        }
        let started = Instant::now();
        let metrics = self.metrics.clone();
        let deadline = deadline::of(request.headers()).map(|limit| started + limit);
        let response = span.in_scope(|| self.inner.call(request));
        let answered = async move {
            let response = match deadline {
                Some(deadline) => deadline::until(deadline.into(), response).await?,
                None => response.await?,
            };
            let code = code(response.headers());
            let method = metrics.method(&path, code);
            metrics.observe(&method, started.elapsed());
            tracing::debug!(micros = started.elapsed().as_micros() as u64, "answered");
            let call = Call { metrics, method, span: Span::current() };
            Ok(response.map(|body| {
                let mut counted = Counted { body, call: Some(call) };
                if let Some(code) = code {
                    counted.end(code);
                }
                counted
            }))
        };
        Box::pin(answered.instrument(span))
    }
}

/// A call whose code is not known yet.
struct Call {
    metrics: Registry,
    method: String,
    span: Span,
}

/// A response's body, which ends with the call's code; without one, the client has gone.
pub(crate) struct Counted<R> {
    body: R,
    call: Option<Call>,
}

impl<R> Counted<R> {
    fn end(&mut self, code: Code) {
        if let Some(Call { metrics, method, span }) = self.call.take() {
            if code != Code::Ok {
                span.record("code", metrics::name(code));
            }
            metrics.count(method, code);
        }
    }
}

impl<R> Drop for Counted<R> {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

impl<R: Body + Unpin> Body for Counted<R> {
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let trailers = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.trailers_ref());
        if let Some(code) = trailers.and_then(code) {
            self.end(code);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The code in headers or trailers.
fn code(headers: &HeaderMap) -> Option<Code> {
    Some(Code::from_bytes(headers.get(Status::GRPC_STATUS)?.as_bytes()))
}
