//! What the garbage collector calls.

use std::pin::Pin;

use futures::stream::{self, Stream};
use gantry_api::to_the_end;
use gantry_proto::gantry::gc::v1 as pb;
use gantry_proto::gantry::gc::v1::collector_server::Collector;
use gantry_rpc::status;
use tonic::{Request, Response, Status};

use super::namespace;
use crate::store::{Node, ResourceName, Store, blocking};

/// How many nodes one message of a scan has.
const SCAN_CHUNK: usize = 256;

pub(super) struct Server(pub(super) Store);

#[tonic::async_trait]
impl Collector for Server {
    type ScanStream = Pin<Box<dyn Stream<Item = Result<pb::ScanResponse, Status>> + Send>>;

    async fn namespaces(
        &self,
        _: Request<pb::NamespacesRequest>,
    ) -> Result<Response<pb::NamespacesResponse>, Status> {
        let store = self.0.clone();
        let namespaces = blocking(move || store.namespaces()).await.map_err(status)?;
        Ok(Response::new(pb::NamespacesResponse {
            namespaces: namespaces.iter().map(ToString::to_string).collect(),
        }))
    }

    async fn begin(&self, request: Request<pb::BeginRequest>) -> Result<Response<pb::BeginResponse>, Status> {
        namespace(&request.get_ref().namespace)?;
        Ok(Response::new(pb::BeginResponse { mark: self.0.begin_collection() }))
    }

    async fn scan(&self, request: Request<pb::ScanRequest>) -> Result<Response<Self::ScanStream>, Status> {
        let namespace = namespace(&request.get_ref().namespace)?;
        let store = self.0.clone();
        let mut nodes =
            blocking(move || store.scan(&namespace)).await.map_err(status)?.into_iter().map(node).peekable();
        let mut messages = Vec::new();
        while nodes.peek().is_some() {
            messages.push(Ok(pb::ScanResponse { nodes: nodes.by_ref().take(SCAN_CHUNK).collect() }));
        }
        Ok(Response::new(Box::pin(stream::iter(messages))))
    }

    async fn sweep(&self, request: Request<pb::SweepRequest>) -> Result<Response<pb::SweepResponse>, Status> {
        let request = request.into_inner();
        let namespace = namespace(&request.namespace)?;
        let names = request.resources.iter().filter_map(|r| ResourceName::parse(&r.r#type, &r.key)).collect();
        let store = self.0.clone();
        let swept = to_the_end(async move { store.sweep(&namespace, request.mark, names).await }).await?;
        Ok(Response::new(pb::SweepResponse {
            removed: swept.removed.iter().map(resource).collect(),
            freed_bytes: swept.freed,
        }))
    }

    async fn touch(&self, request: Request<pb::TouchRequest>) -> Result<Response<pb::TouchResponse>, Status> {
        let request = request.into_inner();
        let namespace = namespace(&request.namespace)?;
        let mut missing = Vec::new();
        for resource in request.resources {
            let is_there = match ResourceName::parse(&resource.r#type, &resource.key) {
                Some(name) => self.0.touch_resource(&namespace, &name).await.map_err(status)?,
                None => false,
            };
            if !is_there {
                missing.push(resource);
            }
        }
        Ok(Response::new(pb::TouchResponse { missing }))
    }
}

fn resource(name: &ResourceName) -> pb::Resource {
    let (kind, key) = name.type_and_key();
    pb::Resource { r#type: kind.to_owned(), key: key.to_owned() }
}

fn node(node: Node) -> pb::Node {
    let named = |(kind, key)| pb::Resource { r#type: kind, key };
    pb::Node {
        resource: Some(resource(&node.name)),
        root: node.root,
        references: node.references.into_iter().map(named).collect(),
        kept_by: node.kept_by.into_iter().map(named).collect(),
        flat: false,
    }
}
