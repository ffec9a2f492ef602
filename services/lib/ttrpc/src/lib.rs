//! containerd's ttrpc on the wire, its light form of gRPC.
//!
//! A frame is a header of ten bytes, big endian (length, stream, type, flags), and a message. A unary call is one
//! [`Request`] on an odd stream and one [`Response`] on the same. Who calls and who answers, and how many at a time, is
//! the affair of those who use this.

mod frame;
mod message;

pub use frame::{Kind, read, write};
pub use message::{KeyValue, Request, Response, RpcStatus};
