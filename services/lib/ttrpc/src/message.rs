//! What frames carry.

use prost::Message;

/// A call.
#[derive(Clone, PartialEq, Message)]
pub struct Request {
    /// The service's full name.
    #[prost(string, tag = "1")]
    pub service: String,
    /// The method's name.
    #[prost(string, tag = "2")]
    pub method: String,
    /// The method's message.
    #[prost(bytes = "vec", tag = "3")]
    pub payload: Vec<u8>,
    /// How long the caller waits; 0 for ever.
    #[prost(int64, tag = "4")]
    pub timeout_nano: i64,
    /// What travels beside the message.
    #[prost(message, repeated, tag = "5")]
    pub metadata: Vec<KeyValue>,
}

/// One value of a call's metadata.
#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    /// Its name, in small letters.
    #[prost(string, tag = "1")]
    pub key: String,
    /// What it says.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// An answer.
#[derive(Clone, PartialEq, Message)]
pub struct Response {
    /// Why there is no message.
    #[prost(message, optional, tag = "1")]
    pub status: Option<RpcStatus>,
    /// The method's message.
    #[prost(bytes = "vec", tag = "2")]
    pub payload: Vec<u8>,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub struct RpcStatus {
    /// gRPC's code.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// What went wrong.
    #[prost(string, tag = "2")]
    pub message: String,
    /// The same for programs: each an encoded `google.protobuf.Any`.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub details: Vec<Vec<u8>>,
}

impl Response {
    /// An answer with a message.
    pub fn done(payload: Vec<u8>) -> Self {
        Self { status: None, payload }
    }

    /// An answer without one.
    pub fn failed(code: i32, message: impl Into<String>) -> Self {
        Self::refused(RpcStatus { code, message: message.into(), details: Vec::new() })
    }

    /// An answer without one, with all that is to be said of it.
    pub fn refused(status: RpcStatus) -> Self {
        Self { status: Some(status), payload: Vec::new() }
    }

    /// The message's bytes, or what went wrong.
    pub fn into_result(self) -> Result<Vec<u8>, RpcStatus> {
        match self.status {
            Some(status) if status.code != 0 => Err(status),
            _ => Ok(self.payload),
        }
    }
}
