//! The services behind the gateway: typed clients, and their data sockets.
//!
//! Channels connect when they are first used and again after a peer was away. A peer that is away is named in the
//! error, which becomes a 503.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use gantry_api::engine::volumes;
use gantry_api::{Failure, terms};
use gantry_proto::gantry::engine::v1 as engine;
use gantry_proto::gantry::engine::v1::containers_client::ContainersClient;
use gantry_proto::gantry::engine::v1::execs_client::ExecsClient;
use gantry_proto::gantry::engine::v1::system_client::SystemClient;
use gantry_proto::gantry::images::v1 as images;
use gantry_proto::gantry::images::v1::image_store_client::ImageStoreClient;
use gantry_proto::gantry::network::v1::networks_client::NetworksClient;
use gantry_rpc::ending::Ending;
use gantry_rpc::{Channel, context, data};
use gantry_types::Namespace;
use prost::Message;
use tokio::net::UnixStream;
use tonic::{Request, Status};

use crate::error::Error;

/// Docker's containers and images live here.
const NAMESPACE: &str = "moby";
/// A list of ten thousand containers fits.
const MESSAGE_LIMIT: usize = 64 << 20;

/// The names of peers, as errors say them.
pub const ENGINE: &str = "engine";
pub const IMAGES: &str = "images";
pub const NETWORK: &str = "network";

/// Clients of the other services. Cheap to clone.
#[derive(Clone)]
pub struct Peers {
    run: PathBuf,
    namespace: Namespace,
    engine: Channel,
    images: Channel,
    network: Channel,
    volumes: volumes::Client,
}

impl std::fmt::Debug for Peers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peers").field("run", &self.run).finish_non_exhaustive()
    }
}

impl Peers {
    /// The peers whose sockets are (or will be) in `run`.
    pub fn new(run: &Path) -> Self {
        let channel =
            |peer: &'static str| Channel::to_service(peer, run.join(format!("{peer}.sock")), terms::of);
        Self {
            run: run.to_owned(),
            namespace: NAMESPACE.parse().expect("a constant identifier is valid"),
            engine: channel(ENGINE),
            images: channel(IMAGES),
            network: channel(NETWORK),
            volumes: volumes::Client::new(&gantry_api::Peers::new(run)),
        }
    }

    /// Containers.
    pub fn containers(&self) -> ContainersClient<Channel> {
        ContainersClient::new(self.engine.clone())
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT)
    }

    /// Further processes in containers.
    pub fn execs(&self) -> ExecsClient<Channel> {
        ExecsClient::new(self.engine.clone())
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT)
    }

    /// Volumes.
    pub fn volumes(&self) -> &volumes::Client {
        &self.volumes
    }

    /// Events and figures of the engine.
    pub fn system(&self) -> SystemClient<Channel> {
        SystemClient::new(self.engine.clone()).max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// Images. Requests need [`Self::within`].
    pub fn images(&self) -> ImageStoreClient<Channel> {
        ImageStoreClient::new(self.images.clone()).max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// Networks.
    pub fn networks(&self) -> NetworksClient<Channel> {
        NetworksClient::new(self.network.clone()).max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// A request within Docker's containerd namespace.
    pub fn within<T>(&self, message: T) -> Request<T> {
        context::with_namespace(message, &self.namespace)
    }

    /// Opens the engine's data socket: the connection, and the detail of the reply.
    pub async fn engine_data<D: Message + Default>(
        &self,
        action: engine::data_request::Action,
    ) -> Result<(UnixStream, D), Error> {
        self.data(ENGINE, &engine::DataRequest { action: Some(action) }).await
    }

    /// A container's log, what is known of it, and the word of its end.
    pub async fn log(
        &self,
        request: engine::data_request::Logs,
    ) -> Result<(UnixStream, engine::LogsReply, Ending), Error> {
        let action = Some(engine::data_request::Action::Logs(request));
        let (stream, detail, descriptors) = self.call(ENGINE, &engine::DataRequest { action }).await?;
        let ending = Ending::of(descriptors).map_err(|error| Error::from_io(ENGINE, &error))?;
        Ok((stream, detail, ending))
    }

    /// Opens the data socket of images.
    pub async fn images_data(&self, action: images::data_request::Action) -> Result<UnixStream, Error> {
        let request = images::DataRequest { namespace: NAMESPACE.to_owned(), action: Some(action) };
        self.data::<()>(IMAGES, &request).await.map(|(stream, ())| stream)
    }

    async fn data<D: Message + Default>(
        &self,
        peer: &str,
        request: &impl Message,
    ) -> Result<(UnixStream, D), Error> {
        self.call(peer, request).await.map(|(stream, detail, _)| (stream, detail))
    }

    async fn call<D: Message + Default>(
        &self,
        peer: &str,
        request: &impl Message,
    ) -> Result<(UnixStream, D, Vec<OwnedFd>), Error> {
        let channel = if peer == ENGINE { &self.engine } else { &self.images };
        let (stream, detail, descriptors) = channel
            .while_alive(data::call(&self.data_socket(peer), request))
            .await
            .map_err(|status| Error::from_peer(peer, &status))?;
        let detail = D::decode(detail.as_slice()).map_err(|error| {
            Error::internal(format!("service {peer} sent a reply that cannot be read: {error}"))
        })?;
        Ok((stream, detail, descriptors))
    }

    fn data_socket(&self, peer: &str) -> PathBuf {
        self.run.join(format!("{peer}-data.sock"))
    }

    /// Tells the engine's event log what happened outside the engine. A failure is only logged: what happened stays true.
    pub async fn publish(
        &self,
        kind: &str,
        action: &str,
        actor: &str,
        attributes: impl IntoIterator<Item = (String, String)>,
    ) {
        self.tell(engine::Event {
            r#type: kind.to_owned(),
            action: action.to_owned(),
            actor_id: actor.to_owned(),
            attributes: attributes.into_iter().collect(),
            ..engine::Event::default()
        })
        .await;
    }

    /// The same, of an event that is made.
    pub async fn tell(&self, event: engine::Event) {
        let (action, actor) = (event.action.clone(), event.actor_id.clone());
        if let Err(status) = self.system().publish(event).await {
            tracing::warn!(error = %status.message(), action, actor, "event was not recorded");
        }
    }
}

/// A shorthand for `map_err`.
pub fn of(peer: &'static str) -> impl Fn(Status) -> Error {
    move |status| Error::from_peer(peer, &status)
}

/// The same, for the clients of promises.
pub fn failed(failure: Failure) -> Error {
    Error::from_peer(failure.service, &failure.status)
}
