//! `VolumeDriver`: volumes of a plugin.
//!
//! | method | asked | answered |
//! | --- | --- | --- |
//! | `Create` | [`CreateRequest`] | nothing; the volume is not mounted yet |
//! | `Remove` | [`Named`] | nothing |
//! | `Mount` | [`MountRequest`] | [`Mountpoint`]; once for each user (`ID`) |
//! | `Unmount` | [`MountRequest`] | nothing |
//! | `Path` | [`Named`] | [`Mountpoint`]; empty while the volume is not mounted |
//! | `Get` | [`Named`] | [`GetResponse`] |
//! | `List` | nothing | [`ListResponse`] |
//! | `Capabilities` | nothing | [`CapabilitiesResponse`] |

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::or_default;

/// The parameters of a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateRequest {
    /// Its name.
    pub name: String,
    /// The user's options (`-o`); `null` for none.
    pub opts: Option<BTreeMap<String, String>>,
}

/// A volume by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Named {
    /// Its name.
    pub name: String,
}

/// A volume and its user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MountRequest {
    /// Its name.
    pub name: String,
    /// The user's id, the same in `Mount` and `Unmount`.
    #[serde(rename = "ID")]
    pub id: String,
}

/// The mount point of a volume.
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
    /// A path on the host; empty while the volume is not mounted.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub mountpoint: String,
    /// RFC 3339; empty when the plugin does not know.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub created_at: String,
    /// Facts that `inspect` shows.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "serde_json::Map::is_empty")]
    pub status: serde_json::Map<String, serde_json::Value>,
}

impl Volume {
    /// A volume with only its name and mount point.
    pub fn at(name: &str, mountpoint: &Path) -> Volume {
        Volume { name: name.to_owned(), mountpoint: mountpoint.display().to_string(), ..Volume::default() }
    }
}

/// The response of `Get`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GetResponse {
    /// The volume.
    pub volume: Option<Volume>,
}

/// The response of `List`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ListResponse {
    /// All volumes, without their status.
    #[serde(deserialize_with = "or_default")]
    pub volumes: Vec<Volume>,
}

/// The response of `Capabilities`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CapabilitiesResponse {
    /// The capabilities.
    pub capabilities: Capabilities,
}

/// The capabilities of a driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Capabilities {
    /// `local`: a volume belongs to this host; `global`: the same name is the same volume on all hosts.
    pub scope: String,
}

impl Default for Capabilities {
    fn default() -> Self {
        Capabilities { scope: "local".to_owned() }
    }
}
