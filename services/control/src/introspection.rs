//! What this Gantry is made of, told in the words of containerd's plugins:
//! clients look here for what a snapshotter can do and which services there are. What the
//! plugins are stands in the services' descriptors; but which snapshotters, differs and content
//! stores of other programs there are depends on settings, and what snapshotters can do on their
//! drivers: those, `snapshots` and `content` tell. While one of them is away, what it told last is
//! told.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use gantry_api::Peers;
use gantry_descriptor::{CONTENT, Descriptor, Export, SERVICES, SNAPSHOTS};
use gantry_proto::containerd::services::introspection::v1::introspection_client::IntrospectionClient;
use gantry_proto::containerd::services::introspection::v1::{Plugin, PluginsRequest};
use gantry_proto::containerd::types::Platform;
use gantry_types::filter::{Fields, FilterSet};
use parking_lot::Mutex;

use crate::error::Error;

/// The list of plugins.
#[derive(Debug)]
pub struct Plugins {
    known: Vec<Plugin>,
    peers: Peers,
    /// What each of [`TELLERS`] told last. Held for an edit.
    told: [Mutex<Vec<Plugin>>; TELLERS.len()],
}

/// The services whose plugins depend on settings.
static TELLERS: [&Descriptor; 2] = [&SNAPSHOTS, &CONTENT];

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
    pub fn new(state: &Path, peers: Peers) -> Plugins {
        let known = SERVICES.iter().flat_map(|service| service.plugins);
        let known = known.map(|plugin| entry(plugin, state)).collect();
        Plugins { known, peers, told: Default::default() }
    }

    /// The plugins that match the filters.
    pub async fn list(&self, filters: &[String]) -> Result<Vec<Plugin>, Error> {
        let filters = FilterSet::parse(filters)?;
        Ok(self.all().await.into_iter().filter(|plugin| filters.matches(&Filterable(plugin))).collect())
    }

    /// One plugin.
    pub async fn get(&self, kind: &str, id: &str) -> Result<Plugin, Error> {
        let found = self.all().await.into_iter().find(|plugin| plugin.r#type == kind && plugin.id == id);
        found.ok_or_else(|| Error::PluginNotFound { kind: kind.to_owned(), id: id.to_owned() })
    }

    async fn all(&self) -> Vec<Plugin> {
        let [first, second] = [0, 1].map(|teller| self.told_by(teller));
        let (first, second) = tokio::join!(first, second);
        let mut plugins = [self.known.clone(), first, second].concat();
        plugins.sort_by(|a, b| (&a.r#type, &a.id).cmp(&(&b.r#type, &b.id)));
        plugins
    }
}

impl Plugins {
    /// What a service tells, or has told last.
    async fn told_by(&self, teller: usize) -> Vec<Plugin> {
        let service = TELLERS[teller].name;
        let mut client = IntrospectionClient::new(self.peers.channel(service));
        let answer = client.plugins(PluginsRequest::default()).await;
        let mut told = self.told[teller].lock();
        match answer {
            Ok(answer) => *told = answer.into_inner().plugins,
            Err(status) => {
                tracing::debug!(service, error = status.message(), "which plugins there are is not told")
            }
        }
        told.clone()
    }
}

/// A plugin in the words of the wire.
fn entry(known: &gantry_descriptor::Plugin, state: &Path) -> Plugin {
    let export = known.export.map(|export| match export {
        Export::Root(folder) => ("root".to_owned(), state.join(folder).display().to_string()),
        Export::Value(key, value) => (key.to_owned(), value.to_owned()),
    });
    Plugin {
        r#type: known.kind.to_owned(),
        id: known.id.to_owned(),
        capabilities: known.capabilities.iter().copied().map(str::to_owned).collect(),
        exports: export.into_iter().collect(),
        platforms: if known.on_platform { vec![this_platform()] } else { Vec::new() },
        ..Default::default()
    }
}

fn this_platform() -> Platform {
    let host = gantry_types::Platform::host();
    Platform {
        os: host.os().to_owned(),
        architecture: host.architecture().to_owned(),
        variant: host.variant().unwrap_or_default().to_owned(),
        ..Default::default()
    }
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

    #[tokio::test]
    async fn a_plugin_is_found_as_clients_ask() {
        let nowhere = tempfile::tempdir_in("/dev/shm").unwrap();
        let plugins = Plugins::new(Path::new("/s"), Peers::new(nowhere.path()));
        let list = async |filters: &[&str]| {
            let filters: Vec<String> = filters.iter().map(|text| (*text).to_owned()).collect();
            plugins.list(&filters).await
        };
        let found = list(&["type==io.containerd.content.v1, id==content"]).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].exports["root"], "/s/content");
        let restart = list(&["id==restart"]).await.unwrap();
        assert_eq!(restart[0].capabilities, ["no", "always", "on-failure", "unless-stopped"]);
        assert_eq!(list(&["id==transfer", "id==streaming"]).await.unwrap().len(), 2);
        assert!(list(&["id=="]).await.map_or(true, |found| found.is_empty()));
        assert!(plugins.get("io.containerd.runtime.v2", "task").await.is_ok());
        assert!(plugins.get("io.containerd.runtime.v2", "other").await.is_err());
    }

    #[tokio::test]
    async fn what_snapshots_told_is_told_while_it_is_away() {
        let run = tempfile::tempdir_in("/dev/shm").unwrap();
        let plugins = Plugins::new(Path::new("/s"), Peers::new(run.path()));
        let asked = ["type==io.containerd.snapshotter.v1".to_owned()];
        assert!(plugins.list(&asked).await.unwrap().is_empty());
        let there =
            Plugin { r#type: "io.containerd.snapshotter.v1".into(), id: "odd".into(), ..Default::default() };
        *plugins.told[0].lock() = vec![there.clone()];
        assert_eq!(plugins.list(&asked).await.unwrap(), [there]);
    }

    #[test]
    fn the_uuid_stays() {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let first = uuid(folder.path()).unwrap();
        assert_eq!(first.len(), 36);
        assert_eq!(uuid(folder.path()).unwrap(), first);
    }
}
