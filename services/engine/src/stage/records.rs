//! The container records of the tasks service, in memory. The fake of its tasks learns from them what containers run.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use gantry_proto::containerd::services::containers::v1 as pb;
use gantry_types::Namespace;
use parking_lot::Mutex;
use pb::containers_server::{Containers, ContainersServer};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

type Reply<T> = Result<Response<T>, Status>;

/// Records by id. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Records {
    tasks: gantry_fakes::Tasks,
    all: Arc<Mutex<BTreeMap<String, pb::Container>>>,
}

impl Records {
    /// Records of containers whose tasks are in this fake.
    pub(crate) fn of(tasks: &gantry_fakes::Tasks) -> Records {
        Records { tasks: tasks.clone(), all: Arc::default() }
    }

    /// The ids of all records.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.all.lock().keys().cloned().collect()
    }

    /// The gRPC service.
    pub(crate) fn service(&self) -> ContainersServer<Records> {
        ContainersServer::new(self.clone())
    }

    fn put(&self, record: &pb::Container) {
        let id = record.id.parse().expect("an id");
        self.tasks.record(&Namespace::moby(), &id, record.spec.as_ref().expect("a specification"));
        self.all.lock().insert(record.id.clone(), record.clone());
    }
}

fn unused<T>() -> Reply<T> {
    Err(Status::unimplemented("the engine does not call this"))
}

#[tonic::async_trait]
impl Containers for Records {
    type ListStreamStream = Pin<Box<dyn Stream<Item = Result<pb::ListContainerMessage, Status>> + Send>>;

    async fn get(&self, _: Request<pb::GetContainerRequest>) -> Reply<pb::GetContainerResponse> {
        unused()
    }

    async fn list(&self, _: Request<pb::ListContainersRequest>) -> Reply<pb::ListContainersResponse> {
        let containers = self.all.lock().values().cloned().collect();
        Ok(Response::new(pb::ListContainersResponse { containers }))
    }

    async fn list_stream(&self, _: Request<pb::ListContainersRequest>) -> Reply<Self::ListStreamStream> {
        unused()
    }

    async fn create(
        &self,
        request: Request<pb::CreateContainerRequest>,
    ) -> Reply<pb::CreateContainerResponse> {
        let record = request.into_inner().container.unwrap_or_default();
        self.put(&record);
        Ok(Response::new(pb::CreateContainerResponse { container: Some(record) }))
    }

    async fn update(
        &self,
        request: Request<pb::UpdateContainerRequest>,
    ) -> Reply<pb::UpdateContainerResponse> {
        let asked = request.into_inner().container.unwrap_or_default();
        let known = self.all.lock().get(&asked.id).cloned();
        let known = known.ok_or_else(|| Status::not_found("no such container"))?;
        let record = pb::Container { spec: asked.spec, ..known };
        self.put(&record);
        Ok(Response::new(pb::UpdateContainerResponse { container: Some(record) }))
    }

    async fn delete(&self, request: Request<pb::DeleteContainerRequest>) -> Reply<()> {
        let id = request.into_inner().id;
        let gone = self.all.lock().remove(&id).ok_or_else(|| Status::not_found("no such container"))?;
        self.tasks.forget(&Namespace::moby(), &gone.id.parse().expect("an id"));
        Ok(Response::new(()))
    }
}
