//! The process: open, reconcile, serve.

use std::path::Path;
use std::sync::Arc;

use gantry_api::Peers;
use gantry_api::events::Publisher;
use gantry_daemon::{BoxError, Context, Descriptor};

use crate::driver::{Driver, Native, Overlay};
use crate::remote::Remote;
use crate::server::{Events, routes};
use crate::settings::Settings;
use crate::store::{Store, Uncounted, blocking};
use crate::trash::Trash;
use crate::{Result, recover};

/// `gantryd snapshots`.
pub struct Service;

impl gantry_daemon::Service for Service {
    const DESCRIPTOR: &'static Descriptor = &gantry_descriptor::SNAPSHOTS;

    type Settings = Settings;

    async fn run(context: Context) -> Result<(), BoxError> {
        // Modes are an archive's, not ours to narrow.
        gantry_host::process::clear_umask();
        let settings: Settings = context.config()?;
        let (state, remotes) = (context.state(), settings.clone());
        let (store, uncounted) = blocking(move || open(&state, &remotes)).await?;
        for finding in recover::reconcile(&store).await? {
            tracing::info!(
                kind = finding.kind,
                name = finding.name,
                repaired = finding.repaired,
                "{}",
                finding.detail
            );
        }
        context.spawn("usage", store.clone().count(uncounted));
        context.spawn("discards", store.clone().discard_always());
        let peers = Peers::new(context.run());
        let (publisher, publishing) = Publisher::new(&peers);
        context.spawn("events", publishing);
        let routes = routes(store, &settings, &peers, &Events::new(publisher));
        context.clone().serve(routes).await
    }
}

/// The whole `main` of the process. It is not generic, so that the service is compiled with its crate, and not again with
/// every program that names it.
pub fn main(arguments: gantry_daemon::Arguments) -> std::process::ExitCode {
    gantry_daemon::main::<Service>(arguments)
}

/// Opens the store with the drivers that there are, and the remote snapshotters that settings name.
pub(crate) fn open(state: &Path, settings: &Settings) -> Result<(Store, Uncounted)> {
    let trash = Trash::start()?;
    let drivers: Vec<Arc<dyn Driver>> = vec![
        Arc::new(Overlay::open(state, &trash)?),
        Arc::new(Native::open(state, &trash)?),
        Arc::new(Overlay::for_others(state, &trash)?),
    ];
    let remotes = settings.snapshotters.iter().map(|(name, plugin)| Arc::new(Remote::new(name, plugin)));
    Store::open(state, drivers, remotes.collect(), trash)
}
