//! The error of a driver.

/// A result of a driver.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason why a call failed. Users read it after words that name the operation and the object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl Error {
    /// An error with these words.
    pub fn new(words: impl ToString) -> Error {
        Error(words.to_string())
    }

    /// An error with these words, preceded by the object.
    pub fn about(object: impl std::fmt::Display, why: impl std::fmt::Display) -> Error {
        Error(format!("{object}: {why}"))
    }
}
