//! gRPC in, calls out: parse, call, convert.

mod collector;
mod image_store;
mod records;
mod streaming;
mod transfer;

pub use collector::{Collector, Fsck};
pub use image_store::ImageStore;
pub use records::Records;
pub use streaming::Streaming;
pub use transfer::Transfer;
