//! Logs on stderr, and traces to an OTLP collector when one is configured.

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::{Arguments, BoxError};

type BoxLayer = Box<dyn Layer<Registry> + Send + Sync>;

pub(crate) fn start(service: &'static str, arguments: &Arguments) -> Result<(), BoxError> {
    let filter =
        EnvFilter::try_new(&arguments.log).map_err(|error| format!("--log {:?}: {error}", arguments.log))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines: BoxLayer = if arguments.log_json {
        lines.json().with_filter(filter).boxed()
    } else {
        lines.with_ansi(false).with_target(true).with_filter(filter).boxed()
    };
    let mut layers = vec![lines];
    layers.extend(export(service)?);
    tracing_subscriber::registry().with(layers).try_init()?;
    Ok(())
}

/// The exporter that `OTEL_EXPORTER_OTLP_ENDPOINT` asks for.
#[cfg(feature = "otel")]
fn export(service: &'static str) -> Result<Option<BoxLayer>, BoxError> {
    use opentelemetry::trace::TracerProvider as _;

    if std::env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT").is_none() {
        return Ok(None);
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().build()?;
    let resource =
        opentelemetry_sdk::Resource::builder().with_service_name(format!("gantry-{service}")).build();
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build();
    Ok(Some(tracing_opentelemetry::layer().with_tracer(provider.tracer(service)).boxed()))
}

#[cfg(not(feature = "otel"))]
fn export(service: &'static str) -> Result<Option<BoxLayer>, BoxError> {
    if std::env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT").is_some() {
        return Err(format!(
            "gantryd {service} was built without the feature `otel`, but an OTLP endpoint is set"
        )
        .into());
    }
    Ok(None)
}
