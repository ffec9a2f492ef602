//! The gRPC server: converts requests and responses.

pub mod fsck;
pub mod runtimes;
pub mod sandbox_controller;
pub mod sandbox_store;
