//! The binary as it is shipped.

#![allow(clippy::disallowed_methods, reason = "the work of a test ends with it")]

mod activation;
mod export;
mod node;
mod reflection;
