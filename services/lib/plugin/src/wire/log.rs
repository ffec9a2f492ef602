//! `LogDriver`: plugins that take containers' output.
//!
//! | method | asked | answered |
//! | --- | --- | --- |
//! | `Capabilities` | nothing | [`CapabilitiesResponse`] |
//! | `StartLogging` | [`StartRequest`] | nothing; from now on [`Entry`]s come through the FIFO |
//! | `StopLogging` | [`StopRequest`] | nothing; the FIFO ends when what is in it has been read |
//! | `ReadLogs` | [`ReadRequest`] | a stream of [`Entry`]s |
//!
//! In a FIFO and in a stream an entry is its length (four bytes, big endian) and a protobuf message.

use std::collections::BTreeMap;

use bytes::{Buf, BytesMut};
use prost::Message;
use serde::{Deserialize, Serialize, Serializer};

use super::or_default;

/// The longest entry in bytes.
pub const LONGEST: usize = 1_000_000;

/// Go's form of a time that is not set.
pub const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// A container whose output is logged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Info {
    /// The user's options (`--log-opt`), not validated.
    #[serde(deserialize_with = "or_default")]
    pub config: BTreeMap<String, String>,
    /// Its id.
    #[serde(rename = "ContainerID")]
    pub container_id: String,
    /// Its name, with a slash before it.
    pub container_name: String,
    /// The program that it runs.
    pub container_entrypoint: String,
    /// The program's arguments.
    #[serde(deserialize_with = "or_default")]
    pub container_args: Vec<String>,
    /// Its image's id.
    #[serde(rename = "ContainerImageID")]
    pub container_image_id: String,
    /// The image's name as the user wrote it.
    pub container_image_name: String,
    /// RFC 3339.
    pub container_created: String,
    /// `NAME=value`; `null` for none.
    #[serde(deserialize_with = "or_default", serialize_with = "or_null")]
    pub container_env: Vec<String>,
    /// Its labels.
    #[serde(deserialize_with = "or_default")]
    pub container_labels: BTreeMap<String, String>,
    /// The file that the engine would write to; empty for a plugin.
    pub log_path: String,
    /// `docker`.
    pub daemon_name: String,
}

/// Begins to log a container's output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct StartRequest {
    /// The FIFO.
    pub file: String,
    /// The container.
    pub info: Info,
}

/// Ends the logging of a FIFO.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct StopRequest {
    /// The FIFO.
    pub file: String,
}

/// The capabilities of a driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Capabilities {
    /// It implements `ReadLogs`.
    pub read_logs: bool,
}

/// The response of `Capabilities`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CapabilitiesResponse {
    /// The capabilities.
    pub cap: Capabilities,
}

/// Which entries to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ReadConfig {
    /// The earliest time: RFC 3339, or [`NO_TIME`].
    pub since: String,
    /// The latest time, in the same form.
    pub until: String,
    /// How many of the last entries; negative: all.
    pub tail: i64,
    /// Also the entries to come.
    pub follow: bool,
}

impl Default for ReadConfig {
    fn default() -> Self {
        ReadConfig { since: NO_TIME.to_owned(), until: NO_TIME.to_owned(), tail: -1, follow: false }
    }
}

/// Reads a container's log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ReadRequest {
    /// The container.
    pub info: Info,
    /// The entries to read.
    pub config: ReadConfig,
}

/// A line of a container's output, or a part of one.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Entry {
    /// `stdout` or `stderr`.
    #[prost(string, tag = "1")]
    pub source: String,
    /// Nanoseconds since 1970.
    #[prost(int64, tag = "2")]
    pub time_nano: i64,
    /// The line without its newline.
    #[prost(bytes = "vec", tag = "3")]
    pub line: Vec<u8>,
    /// It is a part of a line.
    #[prost(bool, tag = "4")]
    pub partial: bool,
    /// The part of the line, if it was split.
    #[prost(message, optional, tag = "5")]
    pub partial_log_metadata: Option<Piece>,
}

/// Which part of a line an entry is.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Piece {
    /// It is the last part.
    #[prost(bool, tag = "1")]
    pub last: bool,
    /// The same for all parts of a line.
    #[prost(string, tag = "2")]
    pub id: String,
    /// The number of the part, from one.
    #[prost(int32, tag = "3")]
    pub ordinal: i32,
}

impl Entry {
    /// The entry with its length, for a FIFO.
    pub fn frame(&self) -> Vec<u8> {
        let length = self.encoded_len();
        let mut bytes = Vec::with_capacity(4 + length);
        bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        self.encode(&mut bytes).expect("a vector grows");
        bytes
    }
}

/// Splits bytes into entries as they arrive.
#[derive(Debug, Default)]
pub struct Frames(BytesMut);

/// Bytes that do not parse as entries.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// An entry is too long.
    #[error("an entry of {0} bytes is too long")]
    TooLong(usize),
    /// An entry does not decode.
    #[error("not a log entry: {0}")]
    Odd(String),
}

impl Frames {
    /// Adds bytes that have arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next entry; `None` until more bytes arrive.
    ///
    /// # Errors
    ///
    /// When the bytes do not parse; nothing after them can be read.
    pub fn entry(&mut self) -> Result<Option<Entry>, FrameError> {
        let Some((head, rest)) = self.0.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*head) as usize;
        if length > LONGEST {
            return Err(FrameError::TooLong(length));
        }
        if rest.len() < length {
            return Ok(None);
        }
        let entry = Entry::decode(&rest[..length]).map_err(|error| FrameError::Odd(error.to_string()))?;
        self.0.advance(4 + length);
        Ok(Some(entry))
    }

    /// Whether an entry has arrived only in part.
    pub fn is_torn(&self) -> bool {
        !self.0.is_empty()
    }
}

fn or_null<S: Serializer>(list: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    if list.is_empty() { serializer.serialize_none() } else { list.serialize(serializer) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_written_as_docker_writes_it() {
        let piece = Piece { last: true, id: "ab".to_owned(), ordinal: 2 };
        let entry = Entry {
            source: "stdout".to_owned(),
            time_nano: 300,
            line: b"hi".to_vec(),
            partial: true,
            partial_log_metadata: Some(piece),
        };
        let expected =
            b"\0\0\0\x1b\x0a\x06stdout\x10\xac\x02\x1a\x02hi\x20\x01\x2a\x08\x08\x01\x12\x02ab\x18\x02";
        assert_eq!(entry.frame(), expected);
        let mut frames = Frames::default();
        for byte in expected {
            assert_eq!(frames.entry(), Ok(None));
            frames.push(&[*byte]);
        }
        assert_eq!(frames.entry(), Ok(Some(entry)));
        assert!(!frames.is_torn());
        frames.push(&[0xff; 4]);
        assert_eq!(frames.entry(), Err(FrameError::TooLong(u32::MAX as usize)));
    }

    #[test]
    fn a_container_is_told_as_docker_tells_it() {
        let info = Info { container_id: "c".to_owned(), ..Info::default() };
        let asked = serde_json::to_string(&StartRequest { file: "/f".to_owned(), info }).expect("JSON");
        let expected = "{\"File\":\"/f\",\"Info\":{\"Config\":{},\"ContainerID\":\"c\",\"ContainerName\":\"\",\
            \"ContainerEntrypoint\":\"\",\"ContainerArgs\":[],\"ContainerImageID\":\"\",\"ContainerImageName\":\"\",\
            \"ContainerCreated\":\"\",\"ContainerEnv\":null,\"ContainerLabels\":{},\"LogPath\":\"\",\"DaemonName\":\"\"}}";
        assert_eq!(asked, expected);
        let read: StartRequest = serde_json::from_str(&asked.replace("[]", "null")).expect("read");
        assert_eq!(read.info.container_args, Vec::<String>::new());
        let read = serde_json::to_string(&ReadRequest::default().config).expect("JSON");
        assert_eq!(
            read,
            "{\"Since\":\"0001-01-01T00:00:00Z\",\"Until\":\"0001-01-01T00:00:00Z\",\"Tail\":-1,\"Follow\":false}"
        );
    }
}
