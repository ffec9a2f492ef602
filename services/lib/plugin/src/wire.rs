//! The documents of the protocol, for both sides. The names are Docker's; a missing field is empty.

pub mod authorization;
pub mod ipam;
pub mod log;
pub mod network;
pub mod volume;

use serde::{Deserialize, Serialize};

/// An empty document: a request or response without fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nothing {}

/// The response of `Plugin.Activate`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Manifest {
    /// The [`interface`](crate::interface)s that the plugin implements.
    #[serde(deserialize_with = "or_default")]
    pub implements: Vec<String>,
}

/// Parses `null`, which Go's programs write for an empty list or map, as empty.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}
