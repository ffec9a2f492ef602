//! The metrics of a service, in the OpenMetrics text form.
//!
//! The service answers them at `/metrics` on its own socket, beside gRPC, and never pushes them. Every sample has the
//! label `service`, so that the texts of all services can be merged (`gantry_api::metrics`).

mod process;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry as Declared;
use tonic::Code;

/// The media type of [`Registry::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics of a service. Cheap to clone.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    /// Guards the list of declared metrics, not their values.
    declared: Mutex<Declared>,
    /// The metrics of the process, whose names have no prefix by convention.
    process: Declared,
    calls: Family<Call, Counter>,
    seconds: Family<Method, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Method {
    method: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    method: String,
    code: &'static str,
}

impl Registry {
    /// The metrics of a service: at first those of its process and its calls.
    pub fn new(service: &'static str) -> Self {
        let labels = || [("service".into(), service.into())].into_iter();
        let mut declared = Declared::with_prefix_and_labels("gantry", labels());
        let calls = Family::default();
        declared.register("rpc_calls", "Calls answered, by method and gRPC code", calls.clone());
        let buckets: fn() -> Histogram = || Histogram::new(exponential_buckets(0.0001, 4.0, 10));
        let seconds = Family::new_with_constructor(buckets);
        declared.register("rpc_call_seconds", "Time until a call's response began", seconds.clone());
        let mut process = Declared::with_labels(labels());
        process.register_collector(Box::new(process::Process));
        Self(Arc::new(Inner { declared: Mutex::new(declared), process, calls, seconds }))
    }

    /// Declares a metric: `gantry_NAME`, where NAME begins with the service's.
    pub fn register(&self, name: &str, help: &str, metric: impl prometheus_client::registry::Metric) {
        self.0.declared.lock().register(name, help, metric);
    }

    /// All metrics as text.
    ///
    /// # Errors
    ///
    /// When a metric cannot be formatted.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode_registry(&mut text, &self.0.process)?;
        encode_registry(&mut text, &self.0.declared.lock())?;
        encode_eof(&mut text)?;
        Ok(text)
    }

    /// The method of a path, as a label; `code` is that of the response, if known. A method that the service does not
    /// implement is `other`, so that clients cannot make up labels.
    pub(crate) fn method(&self, path: &str, code: Option<Code>) -> String {
        let method = path.trim_start_matches('/').to_owned();
        let known = || self.0.seconds.get(&Method { method: method.clone() }).is_some();
        if code == Some(Code::Unimplemented) && !known() { "other".to_owned() } else { method }
    }

    /// A response began.
    pub(crate) fn observe(&self, method: &str, elapsed: Duration) {
        let labels = Method { method: method.to_owned() };
        self.0.seconds.get_or_create(&labels).observe(elapsed.as_secs_f64());
    }

    /// A call ended.
    pub(crate) fn count(&self, method: String, code: Code) {
        self.0.calls.get_or_create(&Call { method, code: name(code) }).inc();
    }
}

/// A code as gRPC's specification spells it.
pub(crate) fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registry")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_method_and_code() {
        let registry = Registry::new("content");
        let method = registry.method("/gantry.gc.v1.Fsck/Check", None);
        registry.observe(&method, Duration::from_millis(2));
        registry.count(method, Code::Ok);
        let text = registry.text().expect("text");
        let method = "method=\"gantry.gc.v1.Fsck/Check\"";
        for part in [
            &format!("gantry_rpc_calls_total{{service=\"content\",{method},code=\"OK\"}} 1"),
            &format!("gantry_rpc_call_seconds_count{{service=\"content\",{method}}} 1"),
            "process_resident_memory_bytes{service=\"content\"} ",
            "process_open_fds{service=\"content\"} ",
            "process_start_time_seconds{service=\"content\"} ",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn strangers_do_not_make_up_labels() {
        let registry = Registry::new("content");
        assert_eq!(registry.method("/gantry.made.up/Call", Some(Code::Unimplemented)), "other");
        registry.observe("gantry.gc.v1.Gc/Collect", Duration::ZERO);
        let known = registry.method("/gantry.gc.v1.Gc/Collect", Some(Code::Unimplemented));
        assert_eq!(known, "gantry.gc.v1.Gc/Collect");
    }
}
