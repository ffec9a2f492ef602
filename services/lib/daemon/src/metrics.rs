//! The metrics of a service, in the OpenMetrics text form.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// Where a service declares its metrics. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    /// Guards the list of declared metrics, not their values.
    declared: Arc<Mutex<prometheus_client::registry::Registry>>,
    calls: Family<Vec<(String, String)>, Histogram>,
}

impl Default for Registry {
    fn default() -> Self {
        let mut declared = prometheus_client::registry::Registry::with_prefix("gantry");
        let calls: Family<Vec<(String, String)>, Histogram> =
            Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.0001, 4.0, 10)));
        declared.register("rpc_seconds", "Time until a call's response began, by path", calls.clone());
        Self { declared: Arc::new(Mutex::new(declared)), calls }
    }
}

impl Registry {
    /// Declares a metric.
    pub fn register(&self, name: &str, help: &str, metric: impl prometheus_client::registry::Metric) {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner).register(name, help, metric);
    }

    /// All metrics as text.
    ///
    /// # Errors
    ///
    /// When a metric cannot be formatted.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.declared.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(text)
    }

    pub(crate) fn observe_call(&self, path: &str, elapsed: Duration) {
        // Paths are those of services that exist, plus whatever a stranger asks for.
        let known =
            path.starts_with("/containerd.") || path.starts_with("/gantry.") || path.starts_with("/grpc.");
        let path = if known { path } else { "other" };
        self.calls.get_or_create(&vec![("path".to_owned(), path.to_owned())]).observe(elapsed.as_secs_f64());
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registry")
    }
}
