//! Clients of the services.
//!
//! - [`Peers`]: one lazily connected channel per service of this machine, and typed clients on it;
//! - [`ingest`]: content's data socket, where blobs change hands as descriptors;
//! - [`metrics`]: the metrics of all services as one text;
//! - [`time`]: protobuf timestamps;
//! - [`events`]: containerd events, published to control.

pub mod events;
pub mod ingest;
pub mod metrics;
mod peers;
pub mod time;

pub use peers::Peers;

/// The services of one machine, in the order in which they need each other.
pub const SERVICES: [&str; 8] =
    ["control", "content", "snapshots", "images", "tasks", "network", "engine", "gateway"];
