//! What only a person can decide.

/// At the end of an error's chain: the service will not go on by itself, and this is what somebody can do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Remedy(pub &'static str);

impl Remedy {
    /// The remedy that an error ends with, if it has one.
    pub fn of<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Remedy> {
        std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
    }
}
