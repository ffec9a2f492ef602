//! Error codes, and the one way from an error to a gRPC status.
//!
//! A crate's error says what happened; [`Coded::code`] says what a client may do
//! about it. [`status`] joins the two: the message is the whole source chain, so
//! that the reader sees the operation, the object and the cause in one line.

use std::error::Error;

/// The codes that Gantry's services answer with: gRPC's, without `Ok` and `Unknown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The caller went away.
    Cancelled,
    /// The request can never succeed.
    InvalidArgument,
    /// A deadline passed.
    DeadlineExceeded,
    /// The object does not exist.
    NotFound,
    /// The object exists already.
    AlreadyExists,
    /// The caller may not do this.
    PermissionDenied,
    /// A resource is used up: disk, addresses, memory.
    ResourceExhausted,
    /// The object is in a state that forbids this.
    FailedPrecondition,
    /// A conflict with what others do to the object.
    Aborted,
    /// An offset lies outside of the object.
    OutOfRange,
    /// Not built.
    Unimplemented,
    /// A bug, or a kernel that refuses.
    Internal,
    /// A peer is away, or the object is locked: try again.
    Unavailable,
    /// Stored bytes are damaged.
    DataLoss,
    /// No valid credentials.
    Unauthenticated,
}

impl From<Code> for tonic::Code {
    fn from(code: Code) -> Self {
        match code {
            Code::Cancelled => tonic::Code::Cancelled,
            Code::InvalidArgument => tonic::Code::InvalidArgument,
            Code::DeadlineExceeded => tonic::Code::DeadlineExceeded,
            Code::NotFound => tonic::Code::NotFound,
            Code::AlreadyExists => tonic::Code::AlreadyExists,
            Code::PermissionDenied => tonic::Code::PermissionDenied,
            Code::ResourceExhausted => tonic::Code::ResourceExhausted,
            Code::FailedPrecondition => tonic::Code::FailedPrecondition,
            Code::Aborted => tonic::Code::Aborted,
            Code::OutOfRange => tonic::Code::OutOfRange,
            Code::Unimplemented => tonic::Code::Unimplemented,
            Code::Internal => tonic::Code::Internal,
            Code::Unavailable => tonic::Code::Unavailable,
            Code::DataLoss => tonic::Code::DataLoss,
            Code::Unauthenticated => tonic::Code::Unauthenticated,
        }
    }
}

impl From<tonic::Code> for Code {
    /// `Ok` and `Unknown` become `Internal`: an error without a meaning.
    fn from(code: tonic::Code) -> Self {
        match code {
            tonic::Code::Cancelled => Code::Cancelled,
            tonic::Code::InvalidArgument => Code::InvalidArgument,
            tonic::Code::DeadlineExceeded => Code::DeadlineExceeded,
            tonic::Code::NotFound => Code::NotFound,
            tonic::Code::AlreadyExists => Code::AlreadyExists,
            tonic::Code::PermissionDenied => Code::PermissionDenied,
            tonic::Code::ResourceExhausted => Code::ResourceExhausted,
            tonic::Code::FailedPrecondition => Code::FailedPrecondition,
            tonic::Code::Aborted => Code::Aborted,
            tonic::Code::OutOfRange => Code::OutOfRange,
            tonic::Code::Unimplemented => Code::Unimplemented,
            tonic::Code::Unavailable => Code::Unavailable,
            tonic::Code::DataLoss => Code::DataLoss,
            tonic::Code::Unauthenticated => Code::Unauthenticated,
            tonic::Code::Ok | tonic::Code::Unknown | tonic::Code::Internal => Code::Internal,
        }
    }
}

/// An error that knows its code.
pub trait Coded: Error {
    /// What a client may do about it.
    fn code(&self) -> Code;

    /// The details of its status, where programs are to know more than the code: an encoded `google.rpc.Status`.
    fn details(&self) -> Vec<u8> {
        Vec::new()
    }
}

/// The status for an error: its code and details, and the whole chain of its causes as the message.
pub fn status<E: Coded + 'static>(error: E) -> tonic::Status {
    let code = error.code();
    let message = chain(&error);
    if matches!(code, Code::Internal | Code::DataLoss) {
        tracing::error!(error = %message, "request failed");
    }
    tonic::Status::with_details(code.into(), message, error.details().into())
}

/// An error and its sources in one line, outermost first. A source whose text
/// its parent already ends with is not said twice.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // A status prints as a debug dump; its message is what a person wants.
        let text = match cause.downcast_ref::<tonic::Status>() {
            Some(status) => status.message().to_owned(),
            None => cause.to_string(),
        };
        if !message.ends_with(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        source = cause.source();
    }
    message
}

/// The code that a peer answered with.
pub fn code_of(status: &tonic::Status) -> Code {
    status.code().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(std::io::Error);

    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("cannot rename /a")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    impl Coded for Outer {
        fn code(&self) -> Code {
            Code::ResourceExhausted
        }
    }

    #[test]
    fn status_carries_code_and_causes() {
        let status = status(Outer(std::io::Error::other("disk full")));
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        assert_eq!(status.message(), "cannot rename /a: disk full");
    }
}
