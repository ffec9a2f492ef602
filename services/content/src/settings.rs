//! What an operator may say of content: which store keeps the bytes of blobs.
//!
//! ```toml
//! store = "far"                                  # one of proxy_plugins; "local", the default: files of this service
//! cache = "10GiB"                                # how much the files of blobs may take that another store keeps
//!
//! [proxy_plugins.far]
//! type = "content"
//! address = "/run/containerd/containerd.sock"
//! namespace = "gantry"                           # that of the blobs there; the rest is optional, too
//! idle_timeout = "10s"                           # how long the store may take for a step
//! capabilities = ["odd"]                         # what introspection tells of it
//! exports = { root = "/var/lib/far" }
//! platform = "linux/amd64"
//! ```
//!
//! The table is containerd's own, but for `namespace` and `idle_timeout`. A store that is not `store` (any more) is
//! still asked for the blobs that it keeps.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gantry_daemon::settings::{Duration, Size};
use gantry_types::{Namespace, Platform};
use serde::Deserialize;

/// The store of the service itself.
const LOCAL: &str = "local";
/// What introspection calls that store.
const OWN: &str = "content";
const CACHE: u64 = 10 << 30;
const NAMESPACE: &str = "gantry";
const IDLE: Duration = Duration::seconds(10);

/// The settings of the service.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Settings {
    /// The store that keeps new blobs; `None`: the service itself.
    pub(crate) store: Option<String>,
    /// The limit of the cache, bytes.
    pub(crate) cache: u64,
    /// The stores of other programs, by name.
    pub(crate) stores: BTreeMap<String, Plugin>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { store: None, cache: CACHE, stores: BTreeMap::new() }
    }
}

/// The store of another program.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plugin {
    #[serde(rename = "type")]
    kind: Kind,
    /// Its socket.
    pub(crate) address: PathBuf,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    idle_timeout: Option<Duration>,
    /// What it can do.
    #[serde(default)]
    pub(crate) capabilities: Vec<String>,
    /// What it says of itself beside.
    #[serde(default)]
    pub(crate) exports: BTreeMap<String, String>,
    /// What it is for; this machine's if nothing is said.
    #[serde(default)]
    pub(crate) platform: Option<String>,
}

impl Plugin {
    /// The namespace of the blobs there.
    pub(crate) fn namespace(&self) -> Result<Namespace, String> {
        let named = self.namespace.as_deref().unwrap_or(NAMESPACE);
        named.parse().map_err(|error| format!("namespace {named:?}: {error}"))
    }

    /// How long the store may take for a step.
    pub(crate) fn idle(&self) -> std::time::Duration {
        self.idle_timeout.unwrap_or(IDLE).into()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Kind {
    #[serde(rename = "content", alias = "io.containerd.content.v1")]
    Content,
    /// Known, so that the refusal says where it belongs.
    #[serde(
        rename = "snapshot",
        alias = "diff",
        alias = "io.containerd.snapshotter.v1",
        alias = "io.containerd.differ.v1"
    )]
    OfSnapshots,
}

/// The settings as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    store: Option<String>,
    cache: Option<Size>,
    proxy_plugins: BTreeMap<String, Plugin>,
}

impl TryFrom<Written> for Settings {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        for (name, plugin) in &written.proxy_plugins {
            check(name, plugin).map_err(|why| format!("proxy_plugins.{name}: {why}"))?;
        }
        let store = written.store.filter(|name| name != LOCAL);
        if let Some(name) = store.as_ref().filter(|name| !written.proxy_plugins.contains_key(*name)) {
            return Err(format!("store: {name:?} is neither {LOCAL:?} nor one of proxy_plugins"));
        }
        Ok(Self { store, cache: written.cache.map_or(CACHE, u64::from), stores: written.proxy_plugins })
    }
}

fn check(name: &str, plugin: &Plugin) -> Result<(), String> {
    if plugin.kind == Kind::OfSnapshots {
        return Err("snapshotters and differs belong into the settings of snapshots".to_owned());
    }
    if [LOCAL, OWN].contains(&name) {
        return Err("the name is taken by the store of Gantry itself".to_owned());
    }
    if name.is_empty() || name.contains('/') {
        return Err("it cannot be named so".to_owned());
    }
    if !plugin.address.is_absolute() {
        return Err("address is not the path of a socket".to_owned());
    }
    if plugin.idle().is_zero() {
        return Err("idle_timeout leaves the store no time".to_owned());
    }
    if let Some(platform) = &plugin.platform {
        platform.parse::<Platform>().map_err(|error| error.to_string())?;
    }
    plugin.namespace().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())
    }

    fn far(more: &str) -> String {
        format!("[proxy_plugins.far]\ntype = \"content\"\naddress = \"/run/far.sock\"\n{more}")
    }

    #[test]
    fn the_table_is_containerd_s() {
        let settings = read(&format!("store = \"far\"\ncache = \"1MiB\"\n{}", far(""))).unwrap();
        assert_eq!((settings.store.as_deref(), settings.cache), (Some("far"), 1 << 20));
        let plugin = &settings.stores["far"];
        assert_eq!(plugin.namespace().unwrap().to_string(), "gantry");
        assert_eq!(plugin.idle(), std::time::Duration::from_secs(10));
        let settings = read(&far("namespace = \"n\"\nidle_timeout = \"1s\"")).unwrap();
        assert_eq!(settings.store, None, "it is only named");
        assert_eq!(settings.stores["far"].namespace().unwrap().to_string(), "n");
        assert_eq!(read("").unwrap(), Settings::default());
        assert_eq!(read("store = \"local\"").unwrap(), Settings::default());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, why) in [
            ("store = \"far\"", "neither"),
            ("cache = \"much\"", "whole number"),
            ("odd = 1", "odd"),
            ("[proxy_plugins.local]\ntype = \"content\"\naddress = \"/x\"", "taken"),
            ("[proxy_plugins.content]\ntype = \"content\"\naddress = \"/x\"", "taken"),
            ("[proxy_plugins.\"a/b\"]\ntype = \"content\"\naddress = \"/x\"", "named so"),
            ("[proxy_plugins.x]\ntype = \"content\"\naddress = \"x\"", "path of a socket"),
            ("[proxy_plugins.x]\ntype = \"snapshot\"\naddress = \"/x\"", "settings of snapshots"),
            (
                "[proxy_plugins.x]\ntype = \"io.containerd.differ.v1\"\naddress = \"/x\"",
                "settings of snapshots",
            ),
            (&far("namespace = \"a b\""), "namespace"),
            (&far("idle_timeout = \"0s\""), "no time"),
            (&far("odd = 1"), "odd"),
        ] {
            let refused = read(text).unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }
}
