//! The whole wiring, top to bottom: which log drivers there are is chosen here alone.

use std::sync::Arc;

use gantry_api::Peers;
use gantry_daemon::{BoxError, Context};
use serde::Deserialize;

use crate::engine::Engine;
use crate::logs::driver::{Driver, Drivers, json_file, local, none};
use crate::shipping::{fluentd, gelf, journald, syslog};
use crate::{data, server};

/// The engine's settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Who keeps the root file systems.
    pub snapshotter: String,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { snapshotter: "overlayfs".to_owned() }
    }
}

/// Runs the engine until the service is told to end.
pub async fn run(context: Context) -> Result<(), BoxError> {
    let settings: Settings = context.config()?;
    let peers = Peers::new(context.run());
    let engine = Engine::open(context.clone(), peers, settings.snapshotter).await?;
    engine.recover().await?;
    engine.listen_for_oom();
    engine.follow_image_names();
    let listener = context.data_listener()?;
    engine.spawn("serve data connections", data::serve(engine.clone(), listener));
    context.serve(server::routes(&engine)).await
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
