//! The process: open, reconcile, serve.

use std::path::Path;
use std::sync::Arc;

use gantry_api::Peers;
use gantry_api::events::Publisher;
use gantry_daemon::{BoxError, Context, Descriptor};

use crate::driver::{Driver, Native, Overlay};
use crate::server::{Events, routes};
use crate::store::{Store, Uncounted};
use crate::trash::Trash;
use crate::{Result, recover};

/// `gantryd snapshots`.
pub struct Service;

impl gantry_daemon::Service for Service {
    const DESCRIPTOR: &'static Descriptor = &gantry_descriptor::SNAPSHOTS;

    type Settings = gantry_daemon::settings::None;

    async fn run(context: Context) -> Result<(), BoxError> {
        // Modes are an archive's, not ours to narrow.
        gantry_host::process::clear_umask();
        let state = context.state();
        let (store, uncounted) = tokio::task::spawn_blocking(move || open(&state)).await??;
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
        let peers = Peers::new(context.run());
        let (publisher, publishing) = Publisher::new(&peers);
        context.spawn("events", publishing);
        context.clone().serve(routes(store, &peers, &Events::new(publisher))).await
    }
}

/// Opens the store with the drivers that there are.
pub(crate) fn open(state: &Path) -> Result<(Store, Uncounted)> {
    let trash = Trash::start()?;
    let drivers: Vec<Arc<dyn Driver>> =
        vec![Arc::new(Overlay::open(state, &trash)?), Arc::new(Native::open(state, &trash)?)];
    Store::open(state, drivers, trash)
}
