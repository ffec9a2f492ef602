//! Exports spans to an OTLP collector over gRPC.
//!
//! Without a configured collector there is no layer and no thread, and the only cost is a check of one flag. Only
//! spans and events of Gantry's crates are exported, so the exporter's own connection is not traced.

#[cfg(feature = "otel")]
pub(crate) use on::{Exporter, join, start};

#[cfg(not(feature = "otel"))]
pub(crate) use off::{Exporter, join, start};

#[cfg(feature = "otel")]
mod on {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use gantry_rpc::trace::Trace;
    use opentelemetry::trace::{
        SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider as _,
    };
    use opentelemetry_otlp::WithExportConfig;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing::{Level, Span};
    use tracing_opentelemetry::OpenTelemetrySpanExt;
    use tracing_subscriber::Layer;
    use tracing_subscriber::filter::filter_fn;

    use crate::BoxError;
    use crate::telemetry::BoxLayer;

    /// How long the last spans may take.
    const FLUSH: Duration = Duration::from_secs(1);

    /// Set when the exporter's layer is made.
    static EXPORTING: AtomicBool = AtomicBool::new(false);

    /// The exporter, if there is one.
    pub(crate) struct Exporter(Option<SdkTracerProvider>);

    impl Exporter {
        /// Exports the last spans.
        pub(crate) fn finish(self) {
            if let Some(provider) = self.0
                && let Err(error) = provider.shutdown_with_timeout(FLUSH)
            {
                tracing::info!(%error, "the last spans were not exported");
            }
        }
    }

    /// Makes the layer for the collector at `endpoint`.
    pub(crate) fn start(
        service: &'static str,
        endpoint: Option<&str>,
    ) -> Result<(Option<BoxLayer>, Exporter), BoxError> {
        let Some(endpoint) = endpoint else { return Ok((None, Exporter(None))) };
        let exporter =
            opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
        let resource =
            opentelemetry_sdk::Resource::builder().with_service_name(format!("gantry-{service}")).build();
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("gantry"))
            .with_threads(false)
            .with_location(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(|metadata| {
                metadata.target().starts_with("gantry") && *metadata.level() <= Level::INFO
            }));
        EXPORTING.store(true, Ordering::Release);
        Ok((Some(layer.boxed()), Exporter(Some(provider))))
    }

    /// Begins the exported span of a request. The request's trace has the span's ids from then on.
    pub(crate) fn join(span: &Span, name: &str, remote: Option<Trace>) -> Option<Trace> {
        if !EXPORTING.load(Ordering::Acquire) {
            return None;
        }
        span.record("otel.name", name);
        span.record("otel.kind", "server");
        if let Some(remote) = remote {
            let context = SpanContext::new(
                TraceId::from(remote.id),
                SpanId::from(remote.span),
                TraceFlags::new(remote.flags),
                true,
                TraceState::default(),
            );
            // Fails only for a span that no layer records.
            let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(context));
        }
        let context = span.context();
        let context = context.span().span_context().clone();
        context.is_valid().then(|| Trace {
            id: u128::from_be_bytes(context.trace_id().to_bytes()),
            span: u64::from_be_bytes(context.span_id().to_bytes()),
            flags: context.trace_flags().to_u8(),
        })
    }
}

#[cfg(not(feature = "otel"))]
mod off {
    use gantry_rpc::trace::Trace;
    use tracing::Span;

    use crate::BoxError;
    use crate::telemetry::BoxLayer;

    pub(crate) struct Exporter;

    impl Exporter {
        pub(crate) fn finish(self) {}
    }

    pub(crate) fn start(
        service: &'static str,
        endpoint: Option<&str>,
    ) -> Result<(Option<BoxLayer>, Exporter), BoxError> {
        match endpoint {
            None => Ok((None, Exporter)),
            Some(endpoint) => Err(format!(
                "gantryd {service} was built without the feature `otel`, but traces are to go to {endpoint}"
            )
            .into()),
        }
    }

    pub(crate) fn join(_span: &Span, _name: &str, _remote: Option<Trace>) -> Option<Trace> {
        None
    }
}
