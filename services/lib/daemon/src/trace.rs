//! Adds a request to its trace.

use gantry_rpc::trace::{Trace, attach};
use http::HeaderMap;
use tracing::{Span, field};

use crate::telemetry;

/// Makes a request's span part of the trace in its headers, or of a new one.
///
/// The span must declare the fields `trace`, which gets the trace's id so that each log line of the request has it,
/// and `otel.name` and `otel.kind`, which only the exporter fills in.
pub fn join(span: &Span, name: &str, headers: &HeaderMap) {
    let remote = Trace::of(headers);
    let trace = telemetry::export::join(span, name, remote)
        .unwrap_or_else(|| remote.map_or_else(Trace::begin, Trace::child));
    span.record("trace", field::display(format_args!("{:032x}", trace.id)));
    attach(span, trace);
}
