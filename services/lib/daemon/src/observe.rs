//! One span and two metrics for each call.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use gantry_rpc::{Caller, caller, deadline};
use http::{Request, Response};
use tonic::Code;
use tracing::{Instrument, Span, field};

use crate::outcome::{Ending, Hear, code};
use crate::{Registry, metrics, serve, trace};

/// A gRPC server with a span and metrics for each call.
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
    type Response = Response<Ending<R, Call>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path().to_owned();
        if path == serve::METRICS {
            let response = self.inner.call(request);
            return Box::pin(async { Ok(Ending::of(response.await?, None)) });
        }
        // At the level of errors, so that no log filter removes the trace.
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
            Ok(Ending::of(response, Some(call)))
        };
        Box::pin(answered.instrument(span))
    }
}

/// A call without a code yet.
pub(crate) struct Call {
    metrics: Registry,
    method: String,
    span: Span,
}

impl Hear for Call {
    fn ended(self, code: Code) {
        let Self { metrics, method, span } = self;
        if code != Code::Ok {
            span.record("code", metrics::name(code));
        }
        metrics.count(method, code);
    }
}
