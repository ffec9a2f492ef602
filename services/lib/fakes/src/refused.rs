//! The error of fakes.

use gantry_rpc::{Code, Coded};

/// A call that must fail according to the interface.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{object}: {reason}")]
pub struct Refused {
    /// The code of the error.
    pub code: Code,
    /// The object of the call.
    pub object: String,
    /// The reason.
    pub reason: &'static str,
    details: Vec<u8>,
}

impl Refused {
    pub(crate) fn new(code: Code, object: impl ToString, reason: &'static str) -> Self {
        Self { code, object: object.to_string(), reason, details: Vec::new() }
    }

    /// Adds details for programs.
    pub(crate) fn with_details(self, details: Vec<u8>) -> Self {
        Self { details, ..self }
    }
}

impl Coded for Refused {
    fn code(&self) -> Code {
        self.code
    }

    fn details(&self) -> Vec<u8> {
        self.details.clone()
    }
}
