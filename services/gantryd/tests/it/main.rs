//! The binary as it is shipped.

mod export;
mod node;
