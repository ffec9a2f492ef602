//! The engine's complete wiring. Only this file chooses the drivers of volumes and logs.

use std::path::PathBuf;
use std::sync::Arc;

use gantry_api::Peers;
use gantry_daemon::{BoxError, Context};
use gantry_plugin::Plugins;
use serde::Deserialize;

use crate::container::{image_names, shortage};
use crate::engine::Engine;
use crate::error::Result;
use crate::logs::driver::{Driver, Drivers, json_file, local, none};
use crate::shipping::plugin::Fifos;
use crate::shipping::{fluentd, gelf, journald, syslog};
use crate::volumes;
use crate::{data, server};

/// The engine's settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The snapshotter that keeps root file systems.
    pub snapshotter: String,
    /// The folders in which plugins are looked up.
    pub plugins: gantry_plugin::Folders,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { snapshotter: "overlayfs".to_owned(), plugins: gantry_plugin::Folders::default() }
    }
}

/// Runs the engine until the service is told to stop.
pub async fn run(context: Context) -> Result<(), BoxError> {
    let settings: Settings = context.config()?;
    let peers = Peers::new(context.run());
    let plugins = Plugins::new(settings.plugins);
    let engine = Engine::open(context.clone(), peers, settings.snapshotter, plugins).await?;
    engine.recovery.recover(&engine.logs, engine.strays.clone(), &context).await?;
    let (containers, published) = (engine.containers.clone(), engine.peers.published.clone());
    let listening = shortage::listen(containers, published, engine.events.clone(), context.clone());
    engine.spawn("listen for memory shortages", listening);
    let (images, published) = (engine.peers.images.clone(), engine.peers.published.clone());
    let following = image_names::follow(engine.containers.clone(), images, published);
    engine.spawn("follow the names of images", following);
    engine.execs.forget_in_time();
    let listener = context.data_listener()?;
    engine.spawn("serve data connections", data::serve(engine.clone(), listener));
    context.serve(server::routes(&engine)).await
}

/// The volume drivers: the engine's own in its directory, and plugins.
pub(crate) fn volume_drivers(directory: PathBuf, plugins: Plugins) -> Result<volumes::driver::Drivers> {
    let own = volumes::driver::local::Local::new(volumes::folders::Folders::open(directory)?);
    Ok(volumes::driver::Drivers::new(own, plugins))
}

/// The log drivers: the engine's own, and plugins.
pub(crate) fn log_drivers(plugins: Plugins, fifos: Fifos) -> Drivers {
    let drivers: [Arc<dyn Driver>; 7] = [
        Arc::new(json_file::JsonFile),
        Arc::new(local::Local),
        Arc::new(none::Nothing),
        Arc::new(syslog::Syslog),
        Arc::new(gelf::Gelf),
        Arc::new(fluentd::Fluentd),
        Arc::new(journald::Journald),
    ];
    Drivers::new(drivers, plugins, fifos)
}

/// The log drivers for tests that use no plugin.
#[cfg(test)]
pub(crate) fn own_log_drivers() -> Drivers {
    log_drivers(Plugins::default(), Fifos::nowhere())
}
