//! The documents of the protocol, of both sides. Their names are Docker's; a field that an answer lacks is empty.

pub mod authorization;
pub mod ipam;
pub mod log;
pub mod network;
pub mod volume;

use serde::{Deserialize, Serialize};

/// What is asked where there is nothing to say, and answered where there is nothing to tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nothing {}

/// The answer to `Plugin.Activate`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Manifest {
    /// [`interface`](crate::interface)s.
    #[serde(deserialize_with = "or_default")]
    pub implements: Vec<String>,
}

/// Reads `null` as what there is none of, as Go's programs write it.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}
