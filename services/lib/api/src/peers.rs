//! Clients of the services of this host.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_descriptor::{CONTENT, CONTROL, ENGINE, IMAGES, NETWORK, SERVICES, SNAPSHOTS, TASKS};
use gantry_proto::containerd::services as containerd;
use gantry_proto::gantry;
use gantry_rpc::{Channel, data};
use prost::Message;
use tokio::net::UnixStream;
use tonic::Status;

use crate::terms;

/// The longest message in each direction: containerd's default.
pub(crate) const MESSAGE_LIMIT: usize = 16 << 20;

/// Channels to the services of one Gantry. A channel connects at its first use, and again after the service has
/// restarted. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Peers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    run: PathBuf,
    /// One channel to each of [`SERVICES`].
    channels: Box<[Channel]>,
}

macro_rules! clients {
    ($($(#[$doc:meta])* $name:ident: $peer:ident, $client:path;)*) => {
        impl Peers {
            $($(#[$doc])*
            pub fn $name(&self) -> $client {
                <$client>::new(self.channel($peer.name))
                    .max_decoding_message_size(MESSAGE_LIMIT)
                    .max_encoding_message_size(MESSAGE_LIMIT)
            })*
        }
    };
}

clients! {
    /// Blobs and ingests.
    content: CONTENT, containerd::content::v1::content_client::ContentClient<Channel>;
    /// Snapshots.
    snapshots: SNAPSHOTS, containerd::snapshots::v1::snapshots_client::SnapshotsClient<Channel>;
    /// Layers, applied and made.
    diff: SNAPSHOTS, containerd::diff::v1::diff_client::DiffClient<Channel>;
    /// Layers, unpacked while they arrive.
    unpacker: SNAPSHOTS, gantry::snapshots::v1::unpacker_client::UnpackerClient<Channel>;
    /// Image records.
    image_records: IMAGES, containerd::images::v1::images_client::ImagesClient<Channel>;
    /// Images, as Docker's users know them.
    images: IMAGES, gantry::images::v1::image_store_client::ImageStoreClient<Channel>;
    /// containerd's transfers of images.
    transfers: IMAGES, containerd::transfer::v1::transfer_client::TransferClient<Channel>;
    /// The streams of these transfers.
    streaming: IMAGES, containerd::streaming::v1::streaming_client::StreamingClient<Channel>;
    /// containerd's container records.
    container_records: TASKS, containerd::containers::v1::containers_client::ContainersClient<Channel>;
    /// Sandbox records.
    sandbox_records: TASKS, containerd::sandbox::v1::store_client::StoreClient<Channel>;
    /// Running sandboxes.
    sandbox_controller: TASKS, containerd::sandbox::v1::controller_client::ControllerClient<Channel>;
    /// Tasks.
    tasks: TASKS, containerd::tasks::v1::tasks_client::TasksClient<Channel>;
    /// Networks.
    networks: NETWORK, gantry::network::v1::networks_client::NetworksClient<Channel>;
    /// Network namespaces and their endpoints.
    netns: NETWORK, gantry::network::v1::network_namespaces_client::NetworkNamespacesClient<Channel>;
    /// Containerd namespaces.
    namespaces: CONTROL, containerd::namespaces::v1::namespaces_client::NamespacesClient<Channel>;
    /// Leases.
    leases: CONTROL, containerd::leases::v1::leases_client::LeasesClient<Channel>;
    /// Containerd events.
    events: CONTROL, containerd::events::v1::events_client::EventsClient<Channel>;
    /// Introspection.
    introspection: CONTROL, containerd::introspection::v1::introspection_client::IntrospectionClient<Channel>;
    /// The snapshotters and differs.
    snapshotters: SNAPSHOTS, containerd::introspection::v1::introspection_client::IntrospectionClient<Channel>;
    /// Information about runtimes.
    runtimes: TASKS, containerd::introspection::v1::introspection_client::IntrospectionClient<Channel>;
    /// Garbage collection.
    gc: CONTROL, gantry::gc::v1::gc_client::GcClient<Channel>;
    /// Containers, as Docker's users know them.
    containers: ENGINE, gantry::engine::v1::containers_client::ContainersClient<Channel>;
    /// Execs.
    execs: ENGINE, gantry::engine::v1::execs_client::ExecsClient<Channel>;
    /// Volumes.
    volumes: ENGINE, gantry::engine::v1::volumes_client::VolumesClient<Channel>;
    /// Docker's events, and facts about the engine.
    system: ENGINE, gantry::engine::v1::system_client::SystemClient<Channel>;
}

impl Peers {
    /// Clients of the services whose sockets are in `run`. Connects to none of them yet.
    pub fn new(run: &Path) -> Self {
        let channel =
            |name: &'static str| Channel::to_service(name, run.join(format!("{name}.sock")), terms::of);
        let channels = gantry_descriptor::names().map(channel).collect();
        Self(Arc::new(Inner { run: run.to_owned(), channels }))
    }

    /// The garbage collector's client of a store.
    ///
    /// # Panics
    ///
    /// For an unknown service name.
    pub fn collector(&self, store: &str) -> gantry::gc::v1::collector_client::CollectorClient<Channel> {
        gantry::gc::v1::collector_client::CollectorClient::new(self.channel(store))
            .max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// The client of a service's fsck.
    ///
    /// # Panics
    ///
    /// For an unknown service name.
    pub fn fsck(&self, service: &str) -> gantry::gc::v1::fsck_client::FsckClient<Channel> {
        gantry::gc::v1::fsck_client::FsckClient::new(self.channel(service))
    }

    /// The client of a service's database.
    ///
    /// # Panics
    ///
    /// For an unknown service name.
    pub fn records(&self, service: &str) -> gantry::records::v1::records_client::RecordsClient<Channel> {
        gantry::records::v1::records_client::RecordsClient::new(self.channel(service))
    }

    /// The channel to a service.
    ///
    /// # Panics
    ///
    /// For an unknown service name.
    pub fn channel(&self, service: &str) -> Channel {
        let number = SERVICES.iter().position(|known| known.name == service);
        self.0.channels[number.unwrap_or_else(|| panic!("{service} is no service"))].clone()
    }

    /// Sends a request to a service's data socket, as [`data::call`] does. Waits for the reply as long as the service
    /// shows that it is alive.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` when the service does not answer; otherwise its own status.
    ///
    /// # Panics
    ///
    /// For an unknown service name.
    pub async fn data(
        &self,
        service: &str,
        request: &impl Message,
    ) -> Result<(UnixStream, Vec<u8>, Vec<OwnedFd>), Status> {
        let socket = self.data_socket(service);
        self.channel(service).while_alive(data::call(&socket, request)).await
    }

    /// The path of a service's data socket.
    pub fn data_socket(&self, service: &str) -> PathBuf {
        self.0.run.join(format!("{service}-data.sock"))
    }
}
