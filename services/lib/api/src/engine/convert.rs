//! Converts between the messages of the wire and the types of the traits. A field that one side lacks gets its
//! default value, so no conversion fails.

mod archive;
mod changes;
mod config;
mod create;
mod endpoint;
mod event;
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

use crate::time::{moment, nanoseconds, timestamp};

/// A list of words that, unlike a bare `repeated` field, tells an empty list from an absent one.
fn words(values: Vec<String>) -> pb::StringList {
    pb::StringList { values }
}

fn values(words: pb::StringList) -> Vec<String> {
    words.values
}
