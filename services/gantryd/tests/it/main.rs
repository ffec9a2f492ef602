//! The binary as it is shipped.

mod activation;
mod export;
mod node;
mod reflection;
