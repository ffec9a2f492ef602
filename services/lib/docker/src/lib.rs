//! Docker's formats and rules that belong to no single service. The gateway and the operator's tool use them. Nothing
//! here calls a service.
//!
//! - [`moment`]: times and durations;
//! - [`filters`]: filters of lists;
//! - [`container`], [`image`], [`network`]: rules and formats of these objects;
//! - [`event`]: events of objects outside the engine.

pub mod container;
pub mod event;
pub mod filters;
pub mod image;
pub mod moment;
pub mod network;

pub use filters::Filters;

/// An invalid request, with Docker's message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

impl Invalid {
    /// An error with this message.
    pub fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}
