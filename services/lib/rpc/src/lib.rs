//! What services share on the wire.
//!
//! - [`code`]: the error codes, and the conversion of an error to a status;
//! - [`context`]: containerd namespace and lease in a request's metadata;
//! - [`socket`]: unix sockets to listen on;
//! - [`stream`]: their connections;
//! - [`channel`]: lazily connected channels to peers;
//! - [`terms`]: how long callers wait;
//! - [`deadline`]: the remaining time of a caller, which calls for it carry on;
//! - [`caller`]: the caller of a request, which calls for it carry on;
//! - [`carry`]: work that a service runs to its end;
//! - [`trace`]: W3C trace context, which every call carries on;
//! - [`data`]: data sockets, which carry bytes and file descriptors beside gRPC;
//! - [`ending`]: whether the bytes on one are complete;
//! - [`paced`]: work at a client's pace.
//!
//! This crate knows no service.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "the work of a test ends with it"))]

pub mod caller;
mod carried;
pub mod carry;
pub mod channel;
pub mod code;
pub mod context;
pub mod data;
pub mod deadline;
pub mod ending;
pub mod paced;
pub mod socket;
pub mod stream;
pub mod terms;
pub mod trace;

pub use caller::Caller;
pub use channel::Channel;
pub use code::{Code, Coded, chain, code_of, status};
pub use stream::Stream;
pub use terms::Bound;

/// The error that a service's `run` returns.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;
