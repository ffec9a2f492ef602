//! Error codes, and the only conversion from an error to a gRPC status.
//!
//! A crate's error says what happened; [`Coded::code`] says what the client may do. [`status`] joins them: the
//! message has the whole chain of sources, so that one line names the operation, the object and the cause.

use std::error::Error;

/// The codes of Gantry's services: gRPC's, without `Ok` and `Unknown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The caller has cancelled.
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
    /// The state of the object does not allow the call.
    FailedPrecondition,
    /// Another call conflicts with this one.
    Aborted,
    /// An offset is outside of the object.
    OutOfRange,
    /// Not implemented.
    Unimplemented,
    /// A bug, or an error of the kernel.
    Internal,
    /// A peer does not answer, or the object is locked: the caller may try again.
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
    /// `Ok` and `Unknown` become `Internal`, because they do not describe an error.
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

/// An error with a code.
pub trait Coded: Error {
    /// What a client may do about it.
    fn code(&self) -> Code;

    /// The details of its status, for programs: an encoded `google.rpc.Status`; empty for none.
    fn details(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Whether only the caller has to act, although the code is that of a failure. Docker's clients get some refusals as
    /// failures; and the answer of another service is in that service's log. Such an error is logged at INFO.
    fn is_callers(&self) -> bool {
        false
    }

    /// The status of another program's server, where callers get it unchanged: its message alone, with a code that
    /// [`Code`] may not have.
    fn passed_on(&self) -> Option<&tonic::Status> {
        None
    }
}

/// The status of an error: its code, its details, and the whole chain of its sources as the message.
pub fn status<E: Coded + 'static>(error: E) -> tonic::Status {
    if let Some(answer) = error.passed_on() {
        let details = answer.details().to_vec().into();
        return tonic::Status::with_details(answer.code(), answer.message(), details);
    }
    let code = error.code();
    let message = chain(&error);
    if matches!(code, Code::Internal | Code::DataLoss) {
        match error.is_callers() {
            true => tracing::info!(error = %message, "request refused"),
            false => tracing::error!(error = %message, "request failed"),
        }
    }
    tonic::Status::with_details(code.into(), message, error.details().into())
}

/// An error with its sources in one line, the outermost first. A source whose text its parent already ends with is
/// not repeated.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Only the message of a status: its `Display` prints a debug dump.
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

/// The code of a peer's status.
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

    #[derive(Debug, thiserror::Error)]
    #[error("a shim's")]
    struct Answered(tonic::Status);

    impl Coded for Answered {
        fn code(&self) -> Code {
            code_of(&self.0)
        }

        fn passed_on(&self) -> Option<&tonic::Status> {
            Some(&self.0)
        }
    }

    #[test]
    fn an_answer_that_is_passed_on_stays_as_it_is() {
        let answer = tonic::Status::with_details(tonic::Code::Unknown, "no", b"why".to_vec().into());
        let status = status(Answered(answer));
        assert_eq!((status.code(), status.message()), (tonic::Code::Unknown, "no"));
        assert_eq!(status.details(), b"why");
    }

    #[test]
    fn status_carries_code_and_causes() {
        let status = status(Outer(std::io::Error::other("disk full")));
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        assert_eq!(status.message(), "cannot rename /a: disk full");
    }
}
