//! gRPC in, this service's own words out.

pub mod collector;
pub mod containers;
pub mod fsck;
pub mod runtimes;
pub mod tasks;
