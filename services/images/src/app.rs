//! The whole wiring of the service, top to bottom.

use gantry_api::events::Publisher;
use gantry_api::images::server;
use gantry_api::{Peers, fsck, gc, records};
use gantry_daemon::confinement::Files;
use gantry_daemon::{BoxError, Context, Descriptor};
use tonic::service::Routes;

use crate::archive::Archives;
use crate::collect::Targets;
use crate::promise::Images;
use crate::recover::Recovery;
use crate::settings::Settings;
use crate::streams::Streams;
use crate::transfer::Transfers;

/// `gantryd images`.
pub struct Service;

impl gantry_daemon::Service for Service {
    const DESCRIPTOR: &'static Descriptor = &gantry_descriptor::IMAGES;

    type Settings = Settings;

    fn named(settings: &Self::Settings) -> Files {
        Files::default().read(settings.certificate_directories())
    }

    async fn run(context: Context) -> Result<(), BoxError> {
        let settings: Settings = context.config()?;
        let peers = Peers::new(context.run());
        let (events, publishing) = Publisher::new(&peers);
        context.spawn("publish events", publishing);
        let images = Images::open(&context.state(), &peers, events, &settings)?;
        let (names, catalog, leases) = (images.names.clone(), images.catalog.clone(), images.leases.clone());
        let remote = images.puller.remote().clone();
        let store = names.store();
        let recovery = Recovery::new(store, leases.clone())?;
        context.spawn("end the leases that were left", recovery.run());

        let archives = Archives::new(names.clone(), catalog.clone(), leases.clone(), remote);
        context.spawn("serve archives", archives.clone().serve(context.data_listener()?));

        let blobs = records::Client::new(&peers, gantry_descriptor::CONTENT.name);
        let whole = gantry_records::server(store.database().clone());
        let targets = Targets::new(names.clone(), catalog.content().clone(), blobs);
        let streams = Streams::default();
        let transfers = Transfers::new(
            images.puller.clone(),
            images.pusher.clone(),
            archives,
            (names.clone(), catalog, leases),
            streams.clone(),
        );
        let routes = Routes::new(server::records(images.clone())).add_service(server::images(images));
        let routes = crate::server::beside(routes, transfers, streams)
            .add_service(gc::server::collector(names))
            .add_service(whole)
            .add_service(fsck::service(targets));
        context.serve(routes).await
    }
}

/// The whole `main` of the process. It is not generic, so that the service is compiled with its crate, and not again with
/// every program that names it.
pub fn main(arguments: gantry_daemon::Arguments) -> std::process::ExitCode {
    gantry_daemon::main::<Service>(arguments)
}
