//! Clients of the services.
//!
//! - [`Peers`]: one lazily connected channel per service of this machine, and typed clients on it;
//! - [`ingest`]: content's data socket, where blobs change hands as descriptors;
//! - [`time`]: protobuf timestamps;
//! - [`events`]: containerd events, published to control.

pub mod events;
pub mod ingest;
mod peers;
pub mod time;

pub use peers::Peers;
