//! What services share on the wire.
//!
//! - [`code`]: the closed set of error codes, and how an error becomes a status;
//! - [`context`]: containerd namespace and lease in the metadata of a request;
//! - [`socket`]: unix sockets to listen on;
//! - [`stream`]: their connections, as calls use them;
//! - [`channel`]: lazily connected channels to peers;
//! - [`terms`]: how long callers wait;
//! - [`deadline`]: how long a caller still waits, which calls on its behalf are told;
//! - [`caller`]: who is calling, which every call carries on;
//! - [`carry`]: work that a service carries to its end;
//! - [`trace`]: W3C trace context, which every call carries on;
//! - [`data`]: data sockets, which carry bulk bytes and file descriptors beside gRPC;
//! - [`ending`]: that what came by one is whole;
//! - [`paced`]: who goes at its client's pace, and when it has to give way.
//!
//! This crate knows no service.

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

/// An error of a service's own, as it leaves `run`.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;
