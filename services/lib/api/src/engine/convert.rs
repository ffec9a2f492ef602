//! Between the wire and what the traits speak of. What either lacks is its default: nothing here fails.

mod config;
mod create;
mod endpoint;
mod exec;
mod host;
mod mount;
mod resources;
mod status;

use gantry_proto::gantry::engine::v1 as pb;

/// Words, where none at all and an empty list differ.
fn words(values: Vec<String>) -> pb::StringList {
    pb::StringList { values }
}
