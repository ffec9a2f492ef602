//! Shims: finding their binary, starting them, speaking to them.

pub mod binary;
pub mod bootstrap;
pub mod client;
pub mod helper;
pub mod log;
pub mod place;
pub mod ttrpc;
