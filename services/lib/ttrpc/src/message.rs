//! The messages in frames.

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
    /// The caller's time limit, nanoseconds; 0 for none.
    #[prost(int64, tag = "4")]
    pub timeout_nano: i64,
    /// The metadata.
    #[prost(message, repeated, tag = "5")]
    pub metadata: Vec<KeyValue>,
}

/// One value of a call's metadata.
#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    /// The name, in lower case.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// An answer.
#[derive(Clone, PartialEq, Message)]
pub struct Response {
    /// The error, if there is no message.
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
    /// A description of the error.
    #[prost(string, tag = "2")]
    pub message: String,
    /// Details for programs: each an encoded `google.protobuf.Any`.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub details: Vec<Vec<u8>>,
}

impl Response {
    /// An answer with a message.
    pub fn done(payload: Vec<u8>) -> Self {
        Self { status: None, payload }
    }

    /// An answer with an error.
    pub fn failed(code: i32, message: impl Into<String>) -> Self {
        Self::refused(RpcStatus { code, message: message.into(), details: Vec::new() })
    }

    /// An answer with an error and its details.
    pub fn refused(status: RpcStatus) -> Self {
        Self { status: Some(status), payload: Vec::new() }
    }

    /// The message's bytes, or the error.
    pub fn into_result(self) -> Result<Vec<u8>, RpcStatus> {
        match self.status {
            Some(status) if status.code != 0 => Err(status),
            _ => Ok(self.payload),
        }
    }
}
