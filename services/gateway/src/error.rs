//! How a request can fail, and the HTTP status that the client gets.
//!
//! One table ([`from_code`]) turns a service's gRPC status into an HTTP status. The message passes unchanged, because clients look for
//! Docker's words in it.

use http::StatusCode;
use tonic::Code;

/// A refused or failed request: the status and the words for the client.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    status: StatusCode,
    message: String,
    /// Whether nobody but the gateway can have logged it.
    own: bool,
}

impl Error {
    /// An error with any status.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), own: false }
    }

    /// The request itself is wrong: 400.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The named thing does not exist: 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// Gantry does not do this (yet): 501.
    pub fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, message)
    }

    /// Another service cannot be reached: 503.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// Gantry itself failed: 500.
    pub fn internal(message: impl Into<String>) -> Self {
        Self { own: true, ..Self::refused(message) }
    }

    /// What Docker answers as a failure of its own, though it is the request that cannot be: 500.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// No such route: 404.
    pub fn page_not_found() -> Self {
        Self::not_found("page not found")
    }

    /// A service's refusal. If it has no message, the error names the `service`.
    pub fn from_peer(service: &str, status: &tonic::Status) -> Self {
        let code = from_code(status.code());
        let message = match status.message() {
            "" => format!("{service} answered {:?}", status.code()),
            message => message.to_owned(),
        };
        // A service logs its own failures, but not that the disk is full; and a service that does not answer logs nothing.
        let own = matches!(status.code(), Code::DeadlineExceeded | Code::ResourceExhausted);
        Self { own, ..Self::new(code, message) }
    }

    /// A refusal by a data socket, which has the same codes.
    pub fn from_code(service: &str, code: i32, message: &str) -> Self {
        Self::from_peer(service, &tonic::Status::new(Code::from_i32(code), message))
    }

    /// A service's socket could not be reached, or the connection broke.
    pub fn from_io(service: &str, source: &std::io::Error) -> Self {
        Self::unavailable(format!("service {service} is away: {source}"))
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Whether somebody has to act, and nobody but the gateway can say so.
    pub fn is_to_log(&self) -> bool {
        self.own && self.status == StatusCode::INTERNAL_SERVER_ERROR
    }
}

impl From<gantry_docker::Invalid> for Error {
    fn from(invalid: gantry_docker::Invalid) -> Self {
        Self::bad(invalid.to_string())
    }
}

/// The HTTP status of a gRPC code.
pub fn from_code(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unknown
        | Code::Internal
        | Code::DataLoss
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::ResourceExhausted => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_statuses() {
        let rows = [
            (Code::InvalidArgument, 400),
            (Code::OutOfRange, 400),
            (Code::NotFound, 404),
            (Code::AlreadyExists, 409),
            (Code::FailedPrecondition, 409),
            (Code::Aborted, 409),
            (Code::PermissionDenied, 403),
            (Code::Unauthenticated, 401),
            (Code::Unimplemented, 501),
            (Code::Unavailable, 503),
            (Code::Internal, 500),
            (Code::Unknown, 500),
            (Code::DataLoss, 500),
            (Code::Cancelled, 500),
            (Code::DeadlineExceeded, 500),
            (Code::ResourceExhausted, 500),
        ];
        for (code, status) in rows {
            assert_eq!(from_code(code).as_u16(), status, "{code:?}");
        }
    }

    #[test]
    fn a_peer_s_words_pass_unchanged() {
        let error = Error::from_peer("images", &tonic::Status::unavailable("the registry answered 500"));
        assert_eq!(error.to_string(), "the registry answered 500");
        let error = Error::from_peer("engine", &tonic::Status::not_found("No such container: x"));
        assert_eq!(error.to_string(), "No such container: x");
    }
}
