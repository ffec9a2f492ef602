//! The whole wiring, top to bottom: which drivers of volumes and logs there are is chosen here alone.

use std::path::PathBuf;
use std::sync::Arc;

use gantry_api::Peers;
use gantry_daemon::{BoxError, Context};
use gantry_plugin::Plugins;
use serde::Deserialize;

use crate::engine::Engine;
use crate::error::Result;
use crate::logs::driver::{Driver, Drivers, json_file, local, none};
use crate::shipping::{fluentd, gelf, journald, syslog};
use crate::volumes;
use crate::{data, server};

/// The engine's settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Who keeps the root file systems.
    pub snapshotter: String,
    /// Where plugins are looked for.
    pub plugins: gantry_plugin::Folders,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { snapshotter: "overlayfs".to_owned(), plugins: gantry_plugin::Folders::default() }
    }
}

/// Runs the engine until the service is told to end.
pub async fn run(context: Context) -> Result<(), BoxError> {
    let settings: Settings = context.config()?;
    let peers = Peers::new(context.run());
    let plugins = Plugins::new(settings.plugins);
    let engine = Engine::open(context.clone(), peers, settings.snapshotter, plugins).await?;
    engine.recover().await?;
    engine.listen_for_oom();
    engine.follow_image_names();
    let listener = context.data_listener()?;
    engine.spawn("serve data connections", data::serve(engine.clone(), listener));
    context.serve(server::routes(&engine)).await
}

/// The volume drivers: the engine's own, in its directory, and plugins.
pub(crate) fn volume_drivers(directory: PathBuf, plugins: Plugins) -> Result<volumes::driver::Drivers> {
    let own = volumes::driver::local::Local::new(volumes::folders::Folders::open(directory)?);
    Ok(volumes::driver::Drivers::new(own, plugins))
}

/// The log drivers.
pub(crate) fn log_drivers() -> Drivers {
    let drivers: [Arc<dyn Driver>; 7] = [
        Arc::new(json_file::JsonFile),
        Arc::new(local::Local),
        Arc::new(none::Nothing),
        Arc::new(syslog::Syslog),
        Arc::new(gelf::Gelf),
        Arc::new(fluentd::Fluentd),
        Arc::new(journald::Journald),
    ];
    Drivers::new(drivers)
}
