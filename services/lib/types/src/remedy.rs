//! Errors that need an operator's decision.

/// The last error of a chain when the service does not go on by itself: what the operator can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Remedy(pub &'static str);

impl Remedy {
    /// The remedy at the end of an error's chain, if there is one.
    pub fn of<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Remedy> {
        std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
    }
}
