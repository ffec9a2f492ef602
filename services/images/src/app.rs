//! The whole wiring of the service, top to bottom.

use gantry_api::events::Publisher;
use gantry_api::{Peers, fsck, gc, records};
use gantry_daemon::confinement::Files;
use gantry_daemon::{BoxError, Context, Descriptor};
use gantry_proto::containerd::services::images::v1::images_server::ImagesServer;
use gantry_proto::containerd::services::streaming::v1::streaming_server::StreamingServer;
use gantry_proto::containerd::services::transfer::v1::transfer_server::TransferServer;
use gantry_proto::gantry::images::v1::image_store_server::ImageStoreServer;
use tonic::service::Routes;

use crate::archive::Archives;
use crate::catalog::Catalog;
use crate::collect::Targets;
use crate::content::Content;
use crate::lease::Leases;
use crate::names::Names;
use crate::pull::Puller;
use crate::push::Pusher;
use crate::recover::Recovery;
use crate::remove::Remover;
use crate::server::{ImageStore, Records, Streaming, Transfer};
use crate::settings::{DEFAULT_SNAPSHOTTER, Settings};
use crate::snapshots::Snapshots;
use crate::store::Store;
use crate::streams::Streams;
use crate::transfer::Transfers;
use gantry_distribution::Client;

/// `gantryd images`.
pub struct Service;

/// Messages up to containerd's limit are taken.
const MESSAGE_LIMIT: usize = 16 << 20;

impl gantry_daemon::Service for Service {
    const DESCRIPTOR: &'static Descriptor = &gantry_descriptor::IMAGES;

    type Settings = Settings;

    fn named(settings: &Self::Settings) -> Files {
        Files::default().read(settings.certificate_directories())
    }

    async fn run(context: Context) -> Result<(), BoxError> {
        let settings: Settings = context.config()?;
        let remote = Client::new(settings.remote(&context.state())?);
        let snapshotter = settings.snapshotter.as_deref().unwrap_or(DEFAULT_SNAPSHOTTER);

        let peers = Peers::new(context.run());
        let (events, publishing) = Publisher::new(&peers);
        context.spawn("publish events", publishing);
        let store = Store::open(&context.state())?;
        let content = Content::new(&peers);
        let blobs = records::Client::new(&peers, gantry_descriptor::CONTENT.name);
        let whole = gantry_records::server(store.database().clone());
        let names = Names::new(store.clone(), &peers, events);
        let catalog = Catalog::new(store.clone(), content.clone(), Snapshots::new(&peers), snapshotter);
        let leases = Leases::new(&peers);
        context.spawn("end the leases that were left", Recovery::new(&store, leases.clone())?.run());

        let archives = Archives::new(names.clone(), catalog.clone(), leases.clone(), remote.clone());
        context.spawn("serve archives", archives.clone().serve(context.data_listener()?));

        let records = Records::new(names.clone(), catalog.clone());
        let puller = Puller::new(remote.clone(), names.clone(), catalog.clone(), leases.clone());
        let pusher = Pusher::new(remote, store, catalog.clone());
        let streams = Streams::default();
        let transfers = Transfers::new(
            puller.clone(),
            pusher.clone(),
            archives,
            (names.clone(), catalog.clone(), leases.clone()),
            streams.clone(),
        );
        let image_store = ImageStore {
            puller,
            pusher,
            remover: Remover::new(names.clone(), catalog.clone()),
            names: names.clone(),
            catalog,
            leases,
        };
        let routes = Routes::new(ImagesServer::new(records).max_decoding_message_size(MESSAGE_LIMIT))
            .add_service(
                TransferServer::new(Transfer::new(transfers)).max_decoding_message_size(MESSAGE_LIMIT),
            )
            .add_service(
                StreamingServer::new(Streaming::new(streams)).max_decoding_message_size(MESSAGE_LIMIT),
            )
            .add_service(ImageStoreServer::new(image_store).max_encoding_message_size(MESSAGE_LIMIT))
            .add_service(gc::server::collector(names.clone()))
            .add_service(whole)
            .add_service(fsck::service(Targets::new(names, content, blobs)));
        context.serve(routes).await
    }
}
