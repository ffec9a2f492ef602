//! OTLP's messages, as far as logs have them (opentelemetry.proto.logs.v1 and what it needs), and what is sent where.

use prost::{Message, Oneof};

/// The method over gRPC.
pub const METHOD: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
/// The path over HTTP, below the endpoint.
pub const PATH: &str = "v1/logs";

/// What is exported.
#[derive(Clone, PartialEq, Message)]
pub struct Export {
    /// By who said it.
    #[prost(message, repeated, tag = "1")]
    pub resource_logs: Vec<ResourceLogs>,
}

/// What one resource has said.
#[derive(Clone, PartialEq, Message)]
pub struct ResourceLogs {
    /// Who.
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    /// What.
    #[prost(message, repeated, tag = "2")]
    pub scope_logs: Vec<ScopeLogs>,
}

/// Who says something.
#[derive(Clone, PartialEq, Message)]
pub struct Resource {
    /// What is known of it.
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
}

/// What came by one way.
#[derive(Clone, PartialEq, Message)]
pub struct ScopeLogs {
    /// Which.
    #[prost(message, optional, tag = "1")]
    pub scope: Option<Scope>,
    /// What.
    #[prost(message, repeated, tag = "2")]
    pub log_records: Vec<LogRecord>,
}

/// Who collected it.
#[derive(Clone, PartialEq, Message)]
pub struct Scope {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its version.
    #[prost(string, tag = "2")]
    pub version: String,
}

/// A line.
#[derive(Clone, PartialEq, Message)]
pub struct LogRecord {
    /// When it was said, nanoseconds since 1970.
    #[prost(fixed64, tag = "1")]
    pub time_unix_nano: u64,
    /// 9 for information, 13 for a warning, 17 for an error.
    #[prost(int32, tag = "2")]
    pub severity_number: i32,
    /// The same as a word.
    #[prost(string, tag = "3")]
    pub severity_text: String,
    /// The line.
    #[prost(message, optional, tag = "5")]
    pub body: Option<AnyValue>,
    /// What is known of it.
    #[prost(message, repeated, tag = "6")]
    pub attributes: Vec<KeyValue>,
    /// When it was taken.
    #[prost(fixed64, tag = "11")]
    pub observed_time_unix_nano: u64,
}

/// An attribute.
#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    /// Its name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Its value.
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
}

/// A value.
#[derive(Clone, PartialEq, Message)]
pub struct AnyValue {
    /// Of one of these kinds.
    #[prost(oneof = "Value", tags = "1, 2, 3, 7")]
    pub value: Option<Value>,
}

/// The kinds of values.
#[derive(Clone, PartialEq, Oneof)]
pub enum Value {
    /// Text.
    #[prost(string, tag = "1")]
    Text(String),
    /// True or false.
    #[prost(bool, tag = "2")]
    Truth(bool),
    /// A number.
    #[prost(int64, tag = "3")]
    Number(i64),
    /// What is no text.
    #[prost(bytes, tag = "7")]
    Bytes(Vec<u8>),
}

/// What a collector answers.
#[derive(Clone, PartialEq, Message)]
pub struct Exported {
    /// What it did not take, for good.
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<PartialSuccess>,
}

/// What a collector did not take.
#[derive(Clone, PartialEq, Message)]
pub struct PartialSuccess {
    /// So many.
    #[prost(int64, tag = "1")]
    pub rejected_log_records: i64,
    /// Why.
    #[prost(string, tag = "2")]
    pub error_message: String,
}

/// An attribute that is text.
pub fn text(key: impl Into<String>, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::Text(value.into()))
}

/// An attribute.
pub fn attribute(key: impl Into<String>, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }) }
}
