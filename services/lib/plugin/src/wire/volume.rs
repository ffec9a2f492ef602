//! `VolumeDriver`: volumes that somebody else keeps.
//!
//! | method | asked | answered |
//! | --- | --- | --- |
//! | `Create` | [`CreateRequest`] | nothing; the volume takes no place yet |
//! | `Remove` | [`Named`] | nothing |
//! | `Mount` | [`MountRequest`] | [`Mountpoint`]; once for each user (`ID`) |
//! | `Unmount` | [`MountRequest`] | nothing |
//! | `Path` | [`Named`] | [`Mountpoint`]; empty while nobody has it mounted |
//! | `Get` | [`Named`] | [`GetResponse`] |
//! | `List` | nothing | [`ListResponse`] |
//! | `Capabilities` | nothing | [`CapabilitiesResponse`] |

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::or_default;

/// What a volume is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateRequest {
    /// Its name.
    pub name: String,
    /// What the user said (`-o`); `null` for nothing.
    pub opts: Option<BTreeMap<String, String>>,
}

/// A volume by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Named {
    /// Its name.
    pub name: String,
}

/// A volume, and who has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MountRequest {
    /// Its name.
    pub name: String,
    /// The same in `Mount` and in the `Unmount` that ends it.
    #[serde(rename = "ID")]
    pub id: String,
}

/// Where a volume is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Mountpoint {
    /// A path on the host.
    #[serde(deserialize_with = "or_default")]
    pub mountpoint: String,
}

/// A volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// A path on the host; empty while nobody has it mounted.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub mountpoint: String,
    /// RFC 3339; empty where the plugin does not know.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub created_at: String,
    /// What the plugin wants to be seen by those who inspect it.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "serde_json::Map::is_empty")]
    pub status: serde_json::Map<String, serde_json::Value>,
}

impl Volume {
    /// A volume whose content is at this path, of which nothing else is told.
    pub fn at(name: &str, mountpoint: &Path) -> Volume {
        Volume { name: name.to_owned(), mountpoint: mountpoint.display().to_string(), ..Volume::default() }
    }
}

/// The answer to `Get`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GetResponse {
    /// The volume.
    pub volume: Option<Volume>,
}

/// The answer to `List`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ListResponse {
    /// All volumes, without their status.
    #[serde(deserialize_with = "or_default")]
    pub volumes: Vec<Volume>,
}

/// The answer to `Capabilities`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CapabilitiesResponse {
    /// What the driver is.
    pub capabilities: Capabilities,
}

/// What a driver is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Capabilities {
    /// `local`: a volume is of this machine; `global`: the same name is the same volume on all.
    pub scope: String,
}

impl Default for Capabilities {
    fn default() -> Self {
        Capabilities { scope: "local".to_owned() }
    }
}
