//! `containerd.services.namespaces.v1.Namespaces`: the namespaces that were made
//! by name, and those that exist because something is in them.

use std::collections::BTreeMap;

use gantry_proto::containerd::events::{NamespaceCreate, NamespaceDelete, NamespaceUpdate};
use gantry_proto::containerd::services::namespaces::v1 as pb;
use gantry_proto::containerd::services::namespaces::v1::namespaces_server::Namespaces as Api;
use gantry_rpc::status;
use gantry_types::{Labels, Namespace};
use tonic::{Request, Response, Status};

use super::Announcer;
use crate::error::Error;
use crate::gc::Collector;
use crate::gc::store::Store;
use crate::namespaces::Namespaces;

/// The server.
pub struct Server<S> {
    records: Namespaces,
    collector: Collector<S>,
    announcer: Announcer<S>,
}

impl<S: Store> Server<S> {
    /// Serves these records.
    pub fn new(records: Namespaces, collector: Collector<S>, announcer: Announcer<S>) -> Server<S> {
        Server { records, collector, announcer }
    }

    async fn list(&self) -> Result<Vec<pb::Namespace>, Error> {
        let mut all: BTreeMap<String, pb::Namespace> = BTreeMap::new();
        for name in self.collector.namespaces_known().await? {
            let name = name.to_string();
            all.insert(name.clone(), pb::Namespace { name, ..Default::default() });
        }
        all.extend(self.records.list()?.into_iter().map(|record| (record.name.clone(), record)));
        Ok(all.into_values().collect())
    }

    async fn create(&self, record: pb::Namespace) -> Result<pb::Namespace, Error> {
        let name: Namespace = record.name.parse()?;
        if self.collector.namespaces_known().await?.contains(&name) {
            return Err(Error::NamespaceExists(record.name));
        }
        self.records.create(&name, record.labels.into()).await
    }

    async fn delete(&self, name: &str) -> Result<(), Error> {
        let name: Namespace = name.parse()?;
        let census = self.collector.census(&name).await?;
        if !census.is_empty() {
            let remains =
                census.iter().map(|(kind, count)| format!("{count} {kind}")).collect::<Vec<_>>().join(", ");
            return Err(Error::NamespaceNotEmpty { name: name.to_string(), remains });
        }
        if self.records.delete(&name).await? {
            Ok(())
        } else {
            Err(Error::NamespaceNotFound(name.to_string()))
        }
    }
}

fn required(namespace: Option<pb::Namespace>) -> Result<pb::Namespace, Status> {
    namespace.ok_or_else(|| Status::invalid_argument("namespace is required"))
}

#[tonic::async_trait]
impl<S: Store> Api for Server<S> {
    async fn get(
        &self,
        request: Request<pb::GetNamespaceRequest>,
    ) -> Result<Response<pb::GetNamespaceResponse>, Status> {
        let name = request.into_inner().name;
        // Clients ask for labels before anything is in a namespace: it need not exist.
        let record = self.records.find(&name).map_err(status)?;
        let namespace = record.unwrap_or_else(|| pb::Namespace { name, ..Default::default() });
        Ok(Response::new(pb::GetNamespaceResponse { namespace: Some(namespace) }))
    }

    async fn list(
        &self,
        _request: Request<pb::ListNamespacesRequest>,
    ) -> Result<Response<pb::ListNamespacesResponse>, Status> {
        let namespaces = self.list().await.map_err(status)?;
        Ok(Response::new(pb::ListNamespacesResponse { namespaces }))
    }

    async fn create(
        &self,
        request: Request<pb::CreateNamespaceRequest>,
    ) -> Result<Response<pb::CreateNamespaceResponse>, Status> {
        let namespace = required(request.into_inner().namespace)?;
        let record = self.create(namespace).await.map_err(status)?;
        let event = NamespaceCreate { name: record.name.clone(), labels: record.labels.clone() };
        self.announcer.tell(&record.name, "/namespaces/create", &event);
        Ok(Response::new(pb::CreateNamespaceResponse { namespace: Some(record) }))
    }

    async fn update(
        &self,
        request: Request<pb::UpdateNamespaceRequest>,
    ) -> Result<Response<pb::UpdateNamespaceResponse>, Status> {
        let request = request.into_inner();
        let namespace = required(request.namespace)?;
        let name: Namespace =
            namespace.name.parse().map_err(|error: gantry_types::Error| status(Error::from(error)))?;
        let mask = request.update_mask.unwrap_or_default().paths;
        let record =
            self.records.update(&name, &Labels::from(namespace.labels), &mask).await.map_err(status)?;
        let event = NamespaceUpdate { name: record.name.clone(), labels: record.labels.clone() };
        self.announcer.tell(&record.name, "/namespaces/update", &event);
        Ok(Response::new(pb::UpdateNamespaceResponse { namespace: Some(record) }))
    }

    async fn delete(&self, request: Request<pb::DeleteNamespaceRequest>) -> Result<Response<()>, Status> {
        let name = request.into_inner().name;
        self.delete(&name).await.map_err(status)?;
        self.announcer.tell(&name, "/namespaces/delete", &NamespaceDelete { name: name.clone() });
        Ok(Response::new(()))
    }
}
