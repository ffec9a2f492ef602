//! The types that every part of Gantry shares: digests, descriptors, chain ids, references, platforms, namespaces,
//! identifiers, ids of containers and processes, signals, labels and filters.
//!
//! Each value is parsed once, at the edge, and is valid from then on: a [`Digest`] is safe as a file name, a
//! [`Namespace`] as a key, a [`Reference`] as a part of a URL. This crate does no I/O, has no async code, and knows
//! neither gRPC nor HTTP. Every error is an [`Error`], and means an invalid argument of the caller.

mod chain;
mod descriptor;
mod digest;
mod error;
pub mod filter;
pub mod gc;
pub mod identifier;
mod labels;
pub mod media_type;
mod namespace;
mod platform;
mod process;
mod reference;
mod remedy;
mod signal;

pub use chain::{ChainId, DiffId};
pub use descriptor::Descriptor;
pub use digest::{Algorithm, Digest, Hasher};
pub use error::Error;
pub use labels::{Labels, Relabel};
pub use namespace::Namespace;
pub use platform::Platform;
pub use process::{ContainerId, ExecId, ProcessId};
pub use reference::Reference;
pub use remedy::Remedy;
pub use signal::Signal;

/// A result of parsing or validation.
pub type Result<T, E = Error> = std::result::Result<T, E>;
