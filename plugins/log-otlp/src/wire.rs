//! The messages of OTLP for logs (opentelemetry.proto.logs.v1 and what it needs), with the method and path to send
//! them to.

use prost::{Message, Oneof};

/// The method over gRPC.
pub const METHOD: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
/// The path over HTTP, below the endpoint.
pub const PATH: &str = "v1/logs";

/// A request with records.
#[derive(Clone, PartialEq, Message)]
pub struct Export {
    /// Records grouped by their resource.
    #[prost(message, repeated, tag = "1")]
    pub resource_logs: Vec<ResourceLogs>,
}

/// The records of one resource.
#[derive(Clone, PartialEq, Message)]
pub struct ResourceLogs {
    /// The resource.
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    /// The records, by the library that collected them.
    #[prost(message, repeated, tag = "2")]
    pub scope_logs: Vec<ScopeLogs>,
}

/// The source of records.
#[derive(Clone, PartialEq, Message)]
pub struct Resource {
    /// The attributes.
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
}

/// The records of one library.
#[derive(Clone, PartialEq, Message)]
pub struct ScopeLogs {
    /// The scope.
    #[prost(message, optional, tag = "1")]
    pub scope: Option<Scope>,
    /// The records.
    #[prost(message, repeated, tag = "2")]
    pub log_records: Vec<LogRecord>,
}

/// The library that collected the records.
#[derive(Clone, PartialEq, Message)]
pub struct Scope {
    /// The library's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The library's version.
    #[prost(string, tag = "2")]
    pub version: String,
}

/// A record: a line of a log.
#[derive(Clone, PartialEq, Message)]
pub struct LogRecord {
    /// Time of the line, nanoseconds since 1970.
    #[prost(fixed64, tag = "1")]
    pub time_unix_nano: u64,
    /// The severity: 9 for information, 13 for a warning, 17 for an error.
    #[prost(int32, tag = "2")]
    pub severity_number: i32,
    /// The severity as a word.
    #[prost(string, tag = "3")]
    pub severity_text: String,
    /// The line.
    #[prost(message, optional, tag = "5")]
    pub body: Option<AnyValue>,
    /// The attributes.
    #[prost(message, repeated, tag = "6")]
    pub attributes: Vec<KeyValue>,
    /// Time at which the record was taken, nanoseconds since 1970.
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
    /// The value, which has one of these kinds.
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
    /// Bytes that are no text.
    #[prost(bytes, tag = "7")]
    Bytes(Vec<u8>),
}

/// The answer of a collector.
#[derive(Clone, PartialEq, Message)]
pub struct Exported {
    /// The records that the collector refuses for good.
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<PartialSuccess>,
}

/// Records that a collector refuses.
#[derive(Clone, PartialEq, Message)]
pub struct PartialSuccess {
    /// Number of records that were refused.
    #[prost(int64, tag = "1")]
    pub rejected_log_records: i64,
    /// The reason.
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
