//! What this Gantry is made of, told in the words of containerd's plugins:
//! clients look here for what a snapshotter can do and which services there are.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use gantry_proto::containerd::services::introspection::v1::Plugin;
use gantry_proto::containerd::types::Platform;
use gantry_types::filter::{Fields, FilterSet};

use crate::error::Error;

const SNAPSHOTTERS: [&str; 2] = ["native", "overlayfs"];
const REMAPS: [&str; 2] = ["remap-ids", "only-remap-ids"];
const GRPC: [&str; 16] = [
    "containers",
    "content",
    "diff",
    "events",
    "healthcheck",
    "images",
    "introspection",
    "leases",
    "namespaces",
    "sandbox-controllers",
    "sandboxes",
    "snapshots",
    "streaming",
    "tasks",
    "transfer",
    "version",
];
const SERVICES: [&str; 9] = [
    "containers-service",
    "content-service",
    "diff-service",
    "images-service",
    "introspection-service",
    "leases-service",
    "namespaces-service",
    "snapshots-service",
    "tasks-service",
];
/// Types of which there is one, with its id.
const SINGLE: [(&str, &str); 8] = [
    ("io.containerd.differ.v1", "walking"),
    ("io.containerd.event.v1", "exchange"),
    ("io.containerd.gc.v1", "scheduler"),
    ("io.containerd.lease.v1", "manager"),
    ("io.containerd.sandbox.controller.v1", "shim"),
    ("io.containerd.sandbox.store.v1", "local"),
    ("io.containerd.streaming.v1", "manager"),
    ("io.containerd.transfer.v1", "local"),
];

/// What the restart monitor understands: clients look here before they ask for it.
const RESTART_POLICIES: [&str; 4] = ["no", "always", "on-failure", "unless-stopped"];

/// The plugin that runtimes are asked about by.
pub const RUNTIME: (&str, &str) = ("io.containerd.runtime.v2", "task");

/// The list of plugins.
#[derive(Debug, Clone)]
pub struct Plugins(Vec<Plugin>);

/// A plugin seen by a filter.
struct Filterable<'a>(&'a Plugin);

impl Fields for Filterable<'_> {
    fn field(&self, path: &[String]) -> Option<std::borrow::Cow<'_, str>> {
        match path {
            [name] if name == "type" => Some(self.0.r#type.as_str().into()),
            [name] if name == "id" => Some(self.0.id.as_str().into()),
            _ => None,
        }
    }
}

impl Plugins {
    /// The plugins of a Gantry whose services keep their state under `state`.
    pub fn new(state: &Path) -> Plugins {
        let mut plugins: Vec<Plugin> = SINGLE.iter().map(|(kind, id)| plugin(kind, id)).collect();
        let export =
            |plugin: &mut Plugin, name: &str, value: String| plugin.exports.insert(name.into(), value);
        let mut content = plugin("io.containerd.content.v1", "content");
        export(&mut content, "root", state.join("content").display().to_string());
        plugins.push(content);
        let mut metadata = plugin("io.containerd.metadata.v1", "bolt");
        // A blob that one namespace has costs another nothing, as with containerd's own default.
        export(&mut metadata, "policy", "shared".into());
        plugins.push(metadata);
        for id in SNAPSHOTTERS {
            let mut snapshotter = on_this_platform(plugin("io.containerd.snapshotter.v1", id));
            let root = state.join("snapshots").join(id).display().to_string();
            export(&mut snapshotter, "root", root);
            if id == "overlayfs" {
                // Its mounts say with which ids; the shim shows the layers so, without a copy.
                snapshotter.capabilities = REMAPS.map(str::to_owned).to_vec();
            }
            plugins.push(snapshotter);
        }
        plugins.push(on_this_platform(plugin(RUNTIME.0, RUNTIME.1)));
        let mut restart = plugin("io.containerd.monitor.container.v1", "restart");
        restart.capabilities = RESTART_POLICIES.map(str::to_owned).to_vec();
        plugins.push(restart);
        plugins.extend(SERVICES.iter().map(|id| plugin("io.containerd.service.v1", id)));
        plugins.extend(GRPC.iter().map(|id| plugin("io.containerd.grpc.v1", id)));
        plugins.sort_by(|a, b| (&a.r#type, &a.id).cmp(&(&b.r#type, &b.id)));
        Plugins(plugins)
    }

    /// Those that pass the filters.
    pub fn list(&self, filters: &[String]) -> Result<Vec<Plugin>, Error> {
        let filters = FilterSet::parse(filters)?;
        Ok(self.0.iter().filter(|plugin| filters.matches(&Filterable(plugin))).cloned().collect())
    }

    /// One of them.
    pub fn get(&self, kind: &str, id: &str) -> Result<Plugin, Error> {
        let found = self.0.iter().find(|plugin| plugin.r#type == kind && plugin.id == id);
        found.cloned().ok_or_else(|| Error::PluginNotFound { kind: kind.to_owned(), id: id.to_owned() })
    }
}

fn plugin(kind: &str, id: &str) -> Plugin {
    Plugin { r#type: kind.to_owned(), id: id.to_owned(), ..Default::default() }
}

fn on_this_platform(mut plugin: Plugin) -> Plugin {
    let host = gantry_types::Platform::host();
    plugin.platforms = vec![Platform {
        os: host.os().to_owned(),
        architecture: host.architecture().to_owned(),
        variant: host.variant().unwrap_or_default().to_owned(),
        ..Default::default()
    }];
    plugin
}

/// The id of this Gantry, made at the first start and kept in `folder`.
pub fn uuid(folder: &Path) -> Result<String, gantry_disk::Error> {
    let path = folder.join("uuid");
    let known = gantry_disk::atomic::read(&path)?.and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some(text) = known.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        return Ok(text.to_owned());
    }
    let uuid = random_uuid();
    gantry_disk::atomic::write(&path, uuid.as_bytes())?;
    Ok(uuid)
}

/// A version 4 UUID (RFC 9562).
fn random_uuid() -> String {
    let mut bytes: [u8; 16] = rand::random();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The inode of this process's pid namespace; 0 when it cannot be read.
pub fn pid_namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").map_or(0, |meta| meta.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshotter_is_found_as_clients_ask() {
        let plugins = Plugins::new(Path::new("/s"));
        let found = plugins.list(&["type==io.containerd.snapshotter.v1, id==overlayfs".into()]).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].exports["root"], "/s/snapshots/overlayfs");
        let restart = plugins.list(&["id==restart".into()]).unwrap();
        assert_eq!(restart[0].capabilities, ["no", "always", "on-failure", "unless-stopped"]);
        assert_eq!(plugins.list(&["id==transfer".into(), "id==streaming".into()]).unwrap().len(), 2);
        assert!(
            plugins.list(&["id==".into()]).is_err() || plugins.list(&["id==".into()]).unwrap().is_empty()
        );
        assert!(plugins.get("io.containerd.runtime.v2", "task").is_ok());
        assert!(plugins.get("io.containerd.runtime.v2", "other").is_err());
    }

    #[test]
    fn the_uuid_stays() {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let first = uuid(folder.path()).unwrap();
        assert_eq!(first.len(), 36);
        assert_eq!(uuid(folder.path()).unwrap(), first);
    }
}
