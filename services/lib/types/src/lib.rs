//! The vocabulary that every part of Gantry shares: digests, descriptors, chains, references, platforms,
//! namespaces, identifiers, labels and filters.
//!
//! Everything here is parsed once, at the edge, and is valid ever after: a [`Digest`] can be used as a file name, a
//! [`Namespace`] as a key, a [`Reference`] as a URL part. Nothing here does I/O, nothing is async, and nothing
//! knows gRPC or HTTP. Every failure is an [`Error`], and every one of them means "the caller sent a bad argument".

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
mod reference;
mod remedy;

pub use chain::{ChainId, DiffId};
pub use descriptor::Descriptor;
pub use digest::{Algorithm, Digest, Hasher};
pub use error::Error;
pub use labels::{Labels, Relabel};
pub use namespace::Namespace;
pub use platform::Platform;
pub use reference::Reference;
pub use remedy::Remedy;

/// The result of parsing or validating something.
pub type Result<T, E = Error> = std::result::Result<T, E>;
