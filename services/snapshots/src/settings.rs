//! What an operator may say of snapshots: whose other snapshotters and differs there are.
//!
//! ```toml
//! [proxy_plugins.fuse-overlayfs]
//! type = "snapshot"                        # or "diff"
//! address = "/run/fuse-overlayfs.sock"
//! snapshotter = "overlayfs"                # what it is called there, where that is not the name of the table
//! capabilities = ["remap-ids"]             # what introspection tells of it; optional, as the rest
//! exports = { root = "/var/lib/fuse-overlayfs" }
//! platform = "linux/amd64"
//! ```
//!
//! The table is containerd's own, but for `snapshotter`. A content store belongs into the settings of `content`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gantry_types::Platform;
use serde::Deserialize;

use crate::driver::{Native, Overlay, PLUGIN};

/// The differ that is ours.
pub const WALKING: &str = "walking";

/// The settings of the service.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Settings {
    /// The remote snapshotters, by name.
    pub snapshotters: BTreeMap<String, Plugin>,
    /// The remote differs, by name.
    pub differs: BTreeMap<String, Plugin>,
}

/// A service of another vendor.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plugin {
    #[serde(rename = "type")]
    kind: Kind,
    /// Its socket.
    pub address: PathBuf,
    /// What a snapshotter is called there, if not as here.
    #[serde(default)]
    pub snapshotter: Option<String>,
    /// What it can do.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// What it says of itself beside.
    #[serde(default)]
    pub exports: BTreeMap<String, String>,
    /// What it is for; this machine's if nothing is said.
    #[serde(default)]
    pub platform: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Kind {
    #[serde(rename = "snapshot", alias = "io.containerd.snapshotter.v1")]
    Snapshot,
    #[serde(rename = "diff", alias = "io.containerd.differ.v1")]
    Diff,
    /// Known, so that the refusal says where it belongs.
    #[serde(rename = "content", alias = "io.containerd.content.v1")]
    Content,
}

/// The settings as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    proxy_plugins: BTreeMap<String, Plugin>,
}

impl TryFrom<Written> for Settings {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let mut settings = Self::default();
        for (name, plugin) in written.proxy_plugins {
            let (taken, plugins): (&[&str], _) = match plugin.kind {
                Kind::Snapshot => (&[Overlay::NAME, Native::NAME, PLUGIN], &mut settings.snapshotters),
                Kind::Diff => (&[WALKING], &mut settings.differs),
                Kind::Content => {
                    return Err(format!(
                        "proxy_plugins.{name}: a content store belongs into the settings of content"
                    ));
                }
            };
            if taken.contains(&name.as_str()) {
                return Err(format!("proxy_plugins.{name}: the name is taken by one of ours"));
            }
            if name.is_empty() || name.contains('/') {
                return Err(format!("proxy_plugins.{name:?}: it cannot be named so"));
            }
            if !plugin.address.is_absolute() {
                return Err(format!("proxy_plugins.{name}: address is not the path of a socket"));
            }
            if let Some(platform) = &plugin.platform {
                let parsed: Result<Platform, _> = platform.parse();
                parsed.map_err(|error| format!("proxy_plugins.{name}: {error}"))?;
            }
            plugins.insert(name, plugin);
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())
    }

    #[test]
    fn the_table_is_containerd_s() {
        let settings = read(
            r#"
            [proxy_plugins.fuse]
            type = "snapshot"
            address = "/run/fuse.sock"
            capabilities = ["remap-ids"]
            platform = "linux/amd64"
            [proxy_plugins.fuse.exports]
            root = "/var/lib/fuse"
            [proxy_plugins.odd]
            type = "io.containerd.differ.v1"
            address = "/run/odd.sock"
            "#,
        )
        .unwrap();
        assert_eq!(settings.snapshotters["fuse"].capabilities, ["remap-ids"]);
        assert_eq!(settings.snapshotters["fuse"].exports["root"], "/var/lib/fuse");
        assert_eq!(settings.differs["odd"].address, PathBuf::from("/run/odd.sock"));
        assert_eq!(read("").unwrap(), Settings::default());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (name, kind, address) in [
            ("overlayfs", "snapshot", "/run/x.sock"),
            ("gantry", "snapshot", "/run/x.sock"),
            ("walking", "diff", "/run/x.sock"),
            ("\"a/b\"", "snapshot", "/run/x.sock"),
            ("x", "content", "/run/x.sock"),
            ("x", "snapshot", "x.sock"),
        ] {
            let text = format!("[proxy_plugins.{name}]\ntype = \"{kind}\"\naddress = \"{address}\"");
            assert!(read(&text).is_err(), "{text}");
        }
        let content = "[proxy_plugins.x]\ntype = \"io.containerd.content.v1\"\naddress = \"/run/x.sock\"";
        assert!(read(content).unwrap_err().contains("belongs into the settings of content"));
        assert!(read("[proxy_plugins.x]\ntype = \"snapshot\"\naddress = \"/x\"\nodd = 1").is_err());
        assert!(read("odd = 1").is_err());
    }
}
