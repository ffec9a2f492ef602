//! What fakes fail with.

use gantry_rpc::{Code, Coded};

/// A call that the promise says must fail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{object}: {reason}")]
pub struct Refused {
    /// What a caller may do about it.
    pub code: Code,
    /// What it is about.
    pub object: String,
    /// Why.
    pub reason: &'static str,
}

impl Refused {
    pub(crate) fn new(code: Code, object: impl ToString, reason: &'static str) -> Self {
        Self { code, object: object.to_string(), reason }
    }
}

impl Coded for Refused {
    fn code(&self) -> Code {
        self.code
    }
}
