//! Docker's models from and to the services' messages. No facts of their own, no decisions.

pub mod config;
pub mod container;
pub mod host_config;
pub mod image;
pub mod network;
pub mod volume;

use gantry_proto::gantry::engine::v1 as engine;
use gantry_proto::gantry::images::v1 as images;

use gantry_docker::Filters;

/// A list that Go shows as `null` when it was never set.
fn or_null<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn string_list(values: Option<Vec<String>>) -> Option<engine::StringList> {
    values.map(|values| engine::StringList { values })
}

/// Filters for the engine.
pub fn engine_filters(filters: Filters) -> Vec<engine::Filter> {
    filters.into_pairs().map(|(key, values)| engine::Filter { key, values }).collect()
}

/// Filters for the engine's promises.
pub fn filters(filters: Filters) -> Vec<gantry_api::engine::Filter> {
    filters.into_pairs().map(|(key, values)| gantry_api::engine::Filter { key, values }).collect()
}

/// Filters for images.
pub fn image_filters(filters: Filters) -> Vec<images::Filter> {
    filters.into_pairs().map(|(key, values)| images::Filter { key, values }).collect()
}
