//! The whole wiring, top to bottom.

use gantry_api::Peers;
use gantry_daemon::{BoxError, Context};
use serde::Deserialize;

use crate::engine::Engine;
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
