//! The images service: names, pulls, pushes, import and export.

mod catalog;
mod content;
mod document;
mod error;
mod filters;
mod glob;
mod lease;
mod moments;
mod names;
mod progress;
mod pull;
mod push;
mod record;
pub mod remote;
mod remove;
mod server;
mod store;
mod unpack;
mod wire;
