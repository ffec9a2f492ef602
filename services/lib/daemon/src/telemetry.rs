//! Logs on stderr, and traces to an OTLP collector when one is configured.

pub(crate) mod export;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::BoxError;
use crate::settings::Common;

type BoxLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Starts both. To be called in the async runtime, to which the exporter's connection belongs.
pub(crate) fn start(service: &'static str, settings: &Common) -> Result<export::Exporter, BoxError> {
    let directives = settings.log.as_deref().unwrap_or("info");
    let filter = EnvFilter::try_new(directives).map_err(|error| format!("log {directives:?}: {error}"))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines: BoxLayer = if settings.log_json.unwrap_or(false) {
        lines.json().with_filter(filter).boxed()
    } else {
        lines.with_ansi(false).with_target(true).with_filter(filter).boxed()
    };
    let mut layers = vec![lines];
    let (layer, exporter) = export::start(service, settings.otlp_endpoint.as_deref())?;
    layers.extend(layer);
    tracing_subscriber::registry().with(layers).try_init()?;
    Ok(exporter)
}
