//! What the service counts.

use std::sync::atomic::AtomicU64;

use gantry_daemon::Registry;
use prometheus_client::metrics::counter::Counter;

/// The service's metrics. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    pub(crate) committed: Counter<u64, AtomicU64>,
    pub(crate) committed_bytes: Counter<u64, AtomicU64>,
    pub(crate) shared: Counter<u64, AtomicU64>,
    pub(crate) deleted: Counter<u64, AtomicU64>,
    pub(crate) sent_bytes: Counter<u64, AtomicU64>,
    pub(crate) fetched_bytes: Counter<u64, AtomicU64>,
    pub(crate) evicted: Counter<u64, AtomicU64>,
}

impl Metrics {
    /// Declares them.
    pub(crate) fn new(registry: &Registry) -> Self {
        let metrics = Metrics::default();
        registry.register("content_blobs_committed", "Blobs committed", metrics.committed.clone());
        registry.register(
            "content_committed_bytes",
            "Bytes of blobs committed",
            metrics.committed_bytes.clone(),
        );
        registry.register(
            "content_blobs_shared",
            "Blobs committed without bytes, which another namespace had",
            metrics.shared.clone(),
        );
        registry.register("content_blobs_deleted", "Blob records deleted", metrics.deleted.clone());
        registry.register(
            "content_sent_bytes",
            "Bytes of blobs sent to the store of another program",
            metrics.sent_bytes.clone(),
        );
        registry.register(
            "content_fetched_bytes",
            "Bytes of blobs fetched from the store of another program",
            metrics.fetched_bytes.clone(),
        );
        registry.register(
            "content_cache_evicted",
            "Files of such blobs removed from the cache",
            metrics.evicted.clone(),
        );
        metrics
    }
}
