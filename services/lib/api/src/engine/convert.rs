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

use crate::time::{moment, nanoseconds, timestamp};

/// Words, where none at all and an empty list differ.
fn words(values: Vec<String>) -> pb::StringList {
    pb::StringList { values }
}
