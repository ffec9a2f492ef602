//! Docker's words and rules that are no service's own: who speaks Docker to people or programs keeps them, the gateway and
//! the operator's tool alike. Nothing here calls anybody.
//!
//! - [`moment`]: points and lengths of time;
//! - [`filters`]: what lists are narrowed by;
//! - [`container`], [`image`], [`network`]: how they are told of, and what may be asked of them;
//! - [`event`]: what happened to objects outside the engine, as its event log is told.

pub mod container;
pub mod event;
pub mod filters;
pub mod image;
pub mod moment;
pub mod network;

pub use filters::Filters;

/// A request that makes no sense, in Docker's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

impl Invalid {
    /// With these words.
    pub fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}
