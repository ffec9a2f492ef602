//! Docker's models from and to the services' messages. This code only translates, and decides nothing.

pub mod config;
pub mod container;
pub mod host_config;
pub mod image;
mod mount;
pub mod network;
mod ports;
pub mod resources;
pub mod volume;

use gantry_docker::Filters;

/// A list that Go shows as `null` when it was never set.
fn or_null<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// Filters for promises.
pub fn filters(filters: Filters) -> Vec<gantry_api::Filter> {
    filters.into_pairs().map(|(key, values)| gantry_api::Filter { key, values }).collect()
}
