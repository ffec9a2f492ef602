//! containerd's ttrpc on the wire, its light form of gRPC.
//!
//! A frame is a header of ten bytes, big endian (length, stream, type, flags), and a message. A unary call is one
//! [`Request`] on an odd stream and one [`Response`] on the same stream. The users of this crate decide who calls and
//! how many calls run at a time. A message has a size limit: a larger one is refused, and the connection stays open.

mod frame;
mod message;

pub use frame::{Kind, Oversized, read, write, write_answer};
pub use message::{KeyValue, Request, Response, RpcStatus};
