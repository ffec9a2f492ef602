//! Between the wire and what the traits speak of. What either lacks is its default: nothing here fails.

mod archive;
mod changes;
mod config;
mod create;
mod endpoint;
mod exec;
mod host;
mod info;
mod list;
mod log;
mod mount;
mod resources;
mod run;
mod stats;
mod status;
mod view;
mod volume;

use gantry_proto::gantry::engine::v1 as pb;
use prost_types::Timestamp;

/// Words, where none at all and an empty list differ.
fn words(values: Vec<String>) -> pb::StringList {
    pb::StringList { values }
}

/// Nanoseconds since 1970 as messages have them; 0 is never.
fn timestamp(nanoseconds: i64) -> Option<Timestamp> {
    (nanoseconds != 0).then(|| moment(nanoseconds))
}

/// Nanoseconds since 1970, where 1970 is a time as any other.
fn moment(nanoseconds: i64) -> Timestamp {
    Timestamp {
        seconds: nanoseconds.div_euclid(1_000_000_000),
        nanos: i32::try_from(nanoseconds.rem_euclid(1_000_000_000)).unwrap_or(0),
    }
}

/// The reverse.
fn nanoseconds(timestamp: Option<Timestamp>) -> i64 {
    timestamp.map_or(0, |at| at.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(at.nanos)))
}
