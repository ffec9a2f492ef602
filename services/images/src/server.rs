//! gRPC in, calls out: parse, call, convert.

mod image_store;
mod records;
mod streaming;
mod transfer;

pub use image_store::ImageStore;
pub use records::Records;
pub use streaming::Streaming;
pub use transfer::Transfer;
