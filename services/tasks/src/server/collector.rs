//! `gantry.gc.v1.Collector`: container and sandbox records are roots. Containers keep their
//! snapshot and their image by name, both what their labels refer to. Nothing here
//! is ever collected, so the sweep has nothing to do.

use std::collections::{BTreeSet, HashMap};

use gantry_proto::containerd::services::containers::v1::Container;
use gantry_proto::containerd::types::Sandbox;
use gantry_proto::gantry::gc::v1 as pb;
use gantry_proto::gantry::gc::v1::collector_server::Collector as Api;
use gantry_types::gc::{self, Edge};
use gantry_types::{Labels, Namespace};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use crate::containers::Containers;
use crate::error::Error;
use crate::sandboxes::Sandboxes;

const BLOCK: usize = 256;
const TYPE: &str = "containers";
const SANDBOX: &str = "sandboxes";

/// The server.
#[derive(Clone)]
pub struct Server {
    containers: Containers,
    sandboxes: Sandboxes,
}

impl Server {
    /// Serves these records.
    pub fn new(containers: Containers, sandboxes: Sandboxes) -> Server {
        Server { containers, sandboxes }
    }
}

fn resource(kind: impl Into<String>, key: impl Into<String>) -> pb::Resource {
    pb::Resource { r#type: kind.into(), key: key.into() }
}

fn node(container: Container) -> pb::Node {
    let mut references = Vec::new();
    if !container.snapshot_key.is_empty() {
        references.push(resource(format!("snapshots/{}", container.snapshotter), container.snapshot_key));
    }
    if !container.image.is_empty() {
        references.push(resource("images", container.image));
    }
    references.extend(labelled(container.labels));
    pb::Node { resource: Some(resource(TYPE, container.id)), root: true, references, ..Default::default() }
}

fn sandbox_node(sandbox: Sandbox) -> pb::Node {
    let references = labelled(sandbox.labels);
    let resource = Some(resource(SANDBOX, sandbox.sandbox_id));
    pb::Node { resource, root: true, references, ..Default::default() }
}

/// What labels refer to.
fn labelled(labels: HashMap<String, String>) -> Vec<pb::Resource> {
    let resource = |edge| match edge {
        Edge::Content(digest) => resource("content", digest.to_string()),
        Edge::Snapshot { snapshotter, key } => resource(format!("snapshots/{snapshotter}"), key),
        Edge::Image(name) => resource("images", name),
    };
    gc::edges(&Labels::from(labels)).map(resource).collect()
}

#[tonic::async_trait]
impl Api for Server {
    type ScanStream = std::pin::Pin<Box<dyn Stream<Item = Result<pb::ScanResponse, Status>> + Send>>;

    async fn namespaces(
        &self,
        _request: Request<pb::NamespacesRequest>,
    ) -> Result<Response<pb::NamespacesResponse>, Status> {
        let containers = self.containers.namespaces().map_err(Error::into_status)?;
        let sandboxes = self.sandboxes.namespaces().map_err(Error::into_status)?;
        let namespaces: BTreeSet<String> = containers.into_iter().chain(sandboxes).collect();
        let namespaces = namespaces.into_iter().collect();
        Ok(Response::new(pb::NamespacesResponse { namespaces }))
    }

    async fn begin(
        &self,
        _request: Request<pb::BeginRequest>,
    ) -> Result<Response<pb::BeginResponse>, Status> {
        Ok(Response::new(pb::BeginResponse { mark: 0 }))
    }

    async fn scan(&self, request: Request<pb::ScanRequest>) -> Result<Response<Self::ScanStream>, Status> {
        let namespace = request.into_inner().namespace;
        let containers = self.containers.list(&namespace, &[]).map_err(Error::into_status)?;
        let sandboxes = self.sandboxes.list(&namespace, &[]).map_err(Error::into_status)?;
        let nodes: Vec<pb::Node> =
            containers.into_iter().map(node).chain(sandboxes.into_iter().map(sandbox_node)).collect();
        let blocks: Vec<_> =
            nodes.chunks(BLOCK).map(|nodes| Ok(pb::ScanResponse { nodes: nodes.to_vec() })).collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(blocks))))
    }

    async fn sweep(
        &self,
        _request: Request<pb::SweepRequest>,
    ) -> Result<Response<pb::SweepResponse>, Status> {
        Ok(Response::new(pb::SweepResponse::default()))
    }

    async fn touch(&self, request: Request<pb::TouchRequest>) -> Result<Response<pb::TouchResponse>, Status> {
        let request = request.into_inner();
        let namespace: Namespace = request
            .namespace
            .parse()
            .map_err(|error: gantry_types::Error| Error::from(error).into_status())?;
        let there: BTreeSet<String> = request
            .resources
            .iter()
            .filter(|resource| match resource.r#type.as_str() {
                TYPE => self.containers.get(&namespace, &resource.key).is_ok(),
                SANDBOX => self.sandboxes.get(&namespace, &resource.key).is_ok(),
                _ => false,
            })
            .map(|resource| resource.key.clone())
            .collect();
        let missing =
            request.resources.into_iter().filter(|resource| !there.contains(&resource.key)).collect();
        Ok(Response::new(pb::TouchResponse { missing }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_keeps_its_snapshot_and_image() {
        let node = node(Container {
            id: "c".into(),
            image: "docker.io/library/x:1".into(),
            snapshotter: "overlayfs".into(),
            snapshot_key: "c".into(),
            ..Default::default()
        });
        assert!(node.root);
        let expected = [resource("snapshots/overlayfs", "c"), resource("images", "docker.io/library/x:1")];
        assert_eq!(node.references, expected);
    }
}
