//! The wiring, from top to bottom.

use std::time::Duration;

use gantry_api::Peers;
use gantry_api::events::Publisher;
use gantry_daemon::{BoxError, Context, Descriptor};
use tokio::signal::unix::{SignalKind, signal};

use crate::kept::refuse_loops;
use crate::layout::Layout;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::store::{Store, blocking};
use crate::{data, server};

/// How often old ingests are looked for.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(600);

/// The content service.
#[derive(Debug)]
pub struct Service;

impl gantry_daemon::Service for Service {
    const DESCRIPTOR: &'static Descriptor = &gantry_descriptor::CONTENT;

    type Settings = Settings;

    async fn run(context: Context) -> Result<(), BoxError> {
        // See `gantry_disk::file::writers`: without a handler the signal would end the process.
        let _sigio = signal(SignalKind::io())?;
        let settings: Settings = context.config()?;
        refuse_loops(&settings, context.run()).map_err(|reason| gantry_daemon::settings::Error::Value {
            service: Self::DESCRIPTOR.name,
            reason,
        })?;
        let peers = Peers::new(context.run());
        let (publisher, publishing) = Publisher::new(&peers);
        context.spawn("event publisher", publishing);

        let metrics = Metrics::new(context.metrics());
        let (state, named) = (context.state(), settings.clone());
        let store =
            blocking(move || Store::open(Layout::open(&state)?, &peers, publisher, metrics, &named)).await?;
        context.spawn("release at other stores", store.clone().release_always());
        context.spawn("files that linger", store.clone().expire_lingering());

        let expiring = store.clone();
        context.spawn("ingest expiry", async move {
            let mut interval = tokio::time::interval(EXPIRY_INTERVAL);
            loop {
                interval.tick().await;
                expiring.expire().await;
            }
        });
        let listener = context.data_listener()?;
        context.spawn("data socket", data::serve(listener, store.clone(), context.clone()));
        context.serve(server::routes(store, &settings)).await
    }
}

/// The whole `main` of the process. It is not generic, so that the service is compiled with its crate, and not again with
/// every program that names it.
pub fn main(arguments: gantry_daemon::Arguments) -> std::process::ExitCode {
    gantry_daemon::main::<Service>(arguments)
}
