//! What a driver says when it cannot.

/// A result of a driver.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why not, in words that the user reads after those that name the operation and the object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl Error {
    /// In these words.
    pub fn new(words: impl ToString) -> Error {
        Error(words.to_string())
    }

    /// In these words, with the object before them.
    pub fn about(object: impl std::fmt::Display, why: impl std::fmt::Display) -> Error {
        Error(format!("{object}: {why}"))
    }
}
