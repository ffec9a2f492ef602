//! A volume driver that is a plugin: Docker's protocol `VolumeDriver`.
//!
//! A plugin keeps its own list of volumes, which may change without the engine. The engine reports the plugin's
//! answers unchanged, and trusts the paths in them: only root can serve a plugin.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gantry_plugin::wire::Nothing;
use gantry_plugin::wire::volume::{
    CapabilitiesResponse, CreateRequest, GetResponse, ListResponse, MountRequest, Mountpoint, Named, Volume,
};
use gantry_plugin::{Error as PluginError, LONG, Plugin, SHORT};

use super::{Driver, Last, Seen, failed};
use crate::error::Result;
use crate::record::VolumeRecord;
use crate::volumes::folders::Condemned;

/// The driver.
pub struct Distant {
    plugin: Plugin,
    scope: String,
}

impl Distant {
    /// Contacts a plugin for the first time. A plugin that does not state its scope has scope `local`.
    pub async fn meet(plugin: Plugin) -> Distant {
        let asked =
            plugin.call::<CapabilitiesResponse>("VolumeDriver.Capabilities", &Nothing {}, SHORT).await;
        let scope = match asked {
            Ok(told) if told.capabilities.scope.eq_ignore_ascii_case("global") => "global",
            Ok(_) => "local",
            Err(error) => {
                tracing::debug!(plugin = plugin.name(), error = %gantry_rpc::chain(&error), "no capabilities told");
                "local"
            }
        };
        Distant { plugin, scope: scope.to_owned() }
    }
}

#[tonic::async_trait]
impl Driver for Distant {
    fn name(&self) -> &str {
        self.plugin.name()
    }

    fn scope(&self) -> &str {
        &self.scope
    }

    fn counts_users(&self) -> bool {
        true
    }

    /// The plugin checks names and options.
    fn check(&self, _name: &str, _options: &BTreeMap<String, String>) -> Result<()> {
        Ok(())
    }

    async fn make(&self, volume: &VolumeRecord) -> Result<()> {
        let opts = (!volume.options.is_empty()).then(|| volume.options.clone());
        let asked = CreateRequest { name: volume.name.clone(), opts };
        let made = self.plugin.call::<Nothing>("VolumeDriver.Create", &asked, LONG).await;
        made.map(drop).map_err(failed(format!("create {}", volume.name)))
    }

    async fn condemn(&self, volume: &VolumeRecord) -> Result<Condemned> {
        let asked = Named { name: volume.name.clone() };
        let removed = self.plugin.call::<Nothing>("VolumeDriver.Remove", &asked, SHORT).await;
        removed.map_err(failed(format!("remove {}", volume.name)))?;
        Ok(Condemned::nothing())
    }

    async fn look(&self, name: &str) -> Result<Option<Seen>> {
        let asked = Named { name: name.to_owned() };
        match self.plugin.call::<GetResponse>("VolumeDriver.Get", &asked, SHORT).await {
            Ok(told) => Ok(told.volume.map(|volume| Seen { name: name.to_owned(), ..seen(volume) })),
            // Docker takes any refusal for "no such volume".
            Err(PluginError::Refused(_) | PluginError::Status { .. }) => Ok(None),
            Err(error) => {
                let doing = format!(
                    "get {name}: error while checking if volume {name:?} exists in driver {:?}",
                    self.plugin.name()
                );
                Err(failed(doing)(error))
            }
        }
    }

    async fn list(&self) -> Result<Vec<Seen>> {
        let told = self.plugin.call::<ListResponse>("VolumeDriver.List", &Nothing {}, SHORT).await;
        let told = told.map_err(failed(format!("list {}", self.plugin.name())))?;
        Ok(told.volumes.into_iter().filter(|volume| !volume.name.is_empty()).map(seen).collect())
    }

    async fn mount(&self, volume: &VolumeRecord, user: &str) -> Result<PathBuf> {
        let asked = MountRequest { name: volume.name.clone(), id: user.to_owned() };
        let mounted = self.plugin.call::<Mountpoint>("VolumeDriver.Mount", &asked, LONG).await;
        let place = mounted.map_err(failed("error while mounting volume ''"))?;
        Ok(PathBuf::from(place.mountpoint))
    }

    async fn unmount(&self, volume: &str, user: &str, _last: Last) -> Result<()> {
        let asked = MountRequest { name: volume.to_owned(), id: user.to_owned() };
        let unmounted = self.plugin.call::<Nothing>("VolumeDriver.Unmount", &asked, SHORT).await;
        unmounted.map(drop).map_err(failed(format!("unmount {volume}")))
    }
}

fn seen(volume: Volume) -> Seen {
    let told = chrono::DateTime::parse_from_rfc3339(&volume.created_at).ok();
    Seen {
        name: volume.name,
        mountpoint: volume.mountpoint,
        created_at: told.and_then(|moment| moment.timestamp_nanos_opt()),
        status: match volume.status.is_empty() {
            true => String::new(),
            false => serde_json::Value::Object(volume.status).to_string(),
        },
    }
}
