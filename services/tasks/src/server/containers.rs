//! `containerd.services.containers.v1.Containers`.

use gantry_api::Peers;
use gantry_api::gc::{self, Hold as _, Resource};
use gantry_proto::containerd::events::{ContainerCreate, ContainerDelete, ContainerUpdate, container_create};
use gantry_proto::containerd::services::containers::v1 as pb;
use gantry_proto::containerd::services::containers::v1::containers_server::Containers as Api;
use gantry_rpc::{Code, Coded, context, status};
use gantry_types::Namespace;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use crate::containers::Containers;
use crate::error::Error;
use crate::events::{Publisher, Then};

/// The server.
#[derive(Clone)]
pub struct Server {
    containers: Containers,
    publisher: Publisher,
    collector: gc::Client,
}

impl Server {
    /// A server of these records.
    pub fn new(containers: Containers, publisher: Publisher, peers: &Peers) -> Server {
        Server { containers, publisher, collector: gc::Client::new(peers) }
    }

    /// Tells a collection under way what the new record refers to. As with containerd, a record may be created before
    /// its snapshot; it then keeps the snapshot from the snapshot's creation on.
    async fn hold(&self, namespace: &Namespace, container: &pb::Container) -> Result<(), Error> {
        if container.snapshot_key.is_empty() {
            return Ok(());
        }
        let snapshot = Resource::snapshot(&container.snapshotter, &container.snapshot_key);
        match self.collector.hold(namespace, vec![snapshot]).await {
            Err(failure) if failure.code() != Code::NotFound => {
                Err(Error::Peer { peer: failure.service, status: failure.status })
            }
            _ => Ok(()),
        }
    }

    async fn create_held(
        &self,
        namespace: &Namespace,
        container: pb::Container,
    ) -> Result<pb::Container, Error> {
        let stored = self.containers.create(namespace, container).await?;
        if let Err(error) = self.hold(namespace, &stored).await {
            self.containers.delete(namespace, &stored.id).await?;
            return Err(error);
        }
        Ok(stored)
    }

    fn list(&self, request: &Request<pb::ListContainersRequest>) -> Result<Vec<pb::Container>, Status> {
        let namespace = context::namespace(request)?;
        self.containers.list(namespace.as_str(), &request.get_ref().filters).map_err(status)
    }
}

fn required(container: Option<pb::Container>) -> Result<pb::Container, Status> {
    container.ok_or_else(|| Status::invalid_argument("container is required"))
}

#[tonic::async_trait]
impl Api for Server {
    type ListStreamStream =
        std::pin::Pin<Box<dyn Stream<Item = Result<pb::ListContainerMessage, Status>> + Send>>;

    async fn get(
        &self,
        request: Request<pb::GetContainerRequest>,
    ) -> Result<Response<pb::GetContainerResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let container = self.containers.get(&namespace, &request.get_ref().id).map_err(status)?;
        Ok(Response::new(pb::GetContainerResponse { container: Some(container) }))
    }

    async fn list(
        &self,
        request: Request<pb::ListContainersRequest>,
    ) -> Result<Response<pb::ListContainersResponse>, Status> {
        let containers = self.list(&request)?;
        Ok(Response::new(pb::ListContainersResponse { containers }))
    }

    async fn list_stream(
        &self,
        request: Request<pb::ListContainersRequest>,
    ) -> Result<Response<Self::ListStreamStream>, Status> {
        let containers = self.list(&request)?;
        let messages = containers
            .into_iter()
            .map(|container| Ok(pb::ListContainerMessage { container: Some(container) }));
        Ok(Response::new(Box::pin(tokio_stream::iter(messages))))
    }

    async fn create(
        &self,
        request: Request<pb::CreateContainerRequest>,
    ) -> Result<Response<pb::CreateContainerResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let container = required(request.into_inner().container)?;
        let stored = self.create_held(&namespace, container).await.map_err(status)?;
        let runtime = stored.runtime.clone().unwrap_or_default();
        let event = ContainerCreate {
            id: stored.id.clone(),
            image: stored.image.clone(),
            runtime: Some(container_create::Runtime { name: runtime.name, options: runtime.options }),
        };
        self.publisher.publish(namespace.as_str(), "/containers/create", &event, Then::Nothing);
        Ok(Response::new(pb::CreateContainerResponse { container: Some(stored) }))
    }

    async fn update(
        &self,
        request: Request<pb::UpdateContainerRequest>,
    ) -> Result<Response<pb::UpdateContainerResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        let update = required(request.container)?;
        let mask = request.update_mask.unwrap_or_default().paths;
        let before = self.containers.get(&namespace, &update.id).map_err(status)?;
        let stored = self.containers.update(&namespace, update, &mask).await.map_err(status)?;
        if stored.snapshot_key != before.snapshot_key
            && let Err(error) = self.hold(&namespace, &stored).await
        {
            self.containers.update(&namespace, before, &["snapshotkey".into()]).await.map_err(status)?;
            return Err(status(error));
        }
        let event = ContainerUpdate {
            id: stored.id.clone(),
            image: stored.image.clone(),
            labels: stored.labels.clone(),
            snapshot_key: stored.snapshot_key.clone(),
        };
        self.publisher.publish(namespace.as_str(), "/containers/update", &event, Then::Nothing);
        Ok(Response::new(pb::UpdateContainerResponse { container: Some(stored) }))
    }

    async fn delete(&self, request: Request<pb::DeleteContainerRequest>) -> Result<Response<()>, Status> {
        let namespace = context::namespace(&request)?;
        let id = request.into_inner().id;
        self.containers.delete(&namespace, &id).await.map_err(status)?;
        self.publisher.publish(
            namespace.as_str(),
            "/containers/delete",
            &ContainerDelete { id },
            Then::Nothing,
        );
        Ok(Response::new(()))
    }
}
