//! gRPC in, this service's own words out.

pub mod containers;
pub mod fsck;
pub mod runtimes;
pub mod sandbox_controller;
pub mod sandbox_store;
pub mod tasks;
