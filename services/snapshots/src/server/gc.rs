//! The store's part of garbage collection, and its consistency check.

use std::pin::Pin;

use gantry_proto::gantry::gc::v1 as pb;
use gantry_rpc::status;
use gantry_types::{Labels, Namespace, gc};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use crate::record::{Record, Scope};
use crate::recover::{self, Repair};
use crate::store::Store;

/// Nodes in one message of a scan.
const PAGE: usize = 500;
const TYPE: &str = "snapshots/";

#[derive(Clone)]
pub struct Gc {
    store: Store,
}

impl Gc {
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

fn namespace(text: &str) -> Result<Namespace, Status> {
    text.parse().map_err(|error: gantry_types::Error| Status::invalid_argument(error.to_string()))
}

fn resource(snapshotter: &str, key: &str) -> pb::Resource {
    pb::Resource { r#type: format!("{TYPE}{snapshotter}"), key: key.to_owned() }
}

/// The snapshot that a resource names; `None` if it is of another kind.
fn snapshot(namespace: &Namespace, resource: &pb::Resource) -> Option<(Scope, String)> {
    let snapshotter = resource.r#type.strip_prefix(TYPE)?.to_owned();
    Some((Scope { namespace: namespace.clone(), snapshotter }, resource.key.clone()))
}

fn node(scope: &Scope, name: &str, record: &Record) -> pb::Node {
    let labels = record.labels();
    let mut references: Vec<pb::Resource> = gc::edges(&labels)
        .map(|edge| match edge {
            gc::Edge::Content(digest) => pb::Resource { r#type: "content".into(), key: digest.to_string() },
            gc::Edge::Snapshot { snapshotter, key } => resource(&snapshotter, &key),
            gc::Edge::Image(name) => pb::Resource { r#type: "images".into(), key: name },
        })
        .collect();
    if !record.parent.is_empty() {
        references.push(resource(&scope.snapshotter, &record.parent));
    }
    pb::Node {
        resource: Some(resource(&scope.snapshotter, name)),
        root: gc::is_root(&labels),
        references,
        kept_by: kept_by(&labels),
        flat: false,
    }
}

/// Labels `containerd.io/gc.bref.*`: what keeps this one.
fn kept_by(labels: &Labels) -> Vec<pb::Resource> {
    const PREFIX: &str = "containerd.io/gc.bref.";
    labels
        .iter()
        .filter_map(|(label, value)| {
            let rest = label.strip_prefix(PREFIX)?;
            let named = |word: &str| {
                rest.strip_prefix(word).is_some_and(|r| r.is_empty() || r.starts_with(['.', '/']))
            };
            let kind = if named("container") {
                "containers".to_owned()
            } else if named("content") {
                "content".to_owned()
            } else if named("image") {
                "images".to_owned()
            } else {
                format!("{TYPE}{}", rest.strip_prefix("snapshot.")?.split('/').next()?)
            };
            Some(pb::Resource { r#type: kind, key: value.clone() })
        })
        .collect()
}

type Scan = Pin<Box<dyn Stream<Item = Result<pb::ScanResponse, Status>> + Send>>;

#[tonic::async_trait]
impl pb::collector_server::Collector for Gc {
    async fn namespaces(
        &self,
        _: Request<pb::NamespacesRequest>,
    ) -> Result<Response<pb::NamespacesResponse>, Status> {
        let namespaces = self.store.namespaces().map_err(status)?;
        Ok(Response::new(pb::NamespacesResponse {
            namespaces: namespaces.iter().map(ToString::to_string).collect(),
        }))
    }

    async fn begin(&self, request: Request<pb::BeginRequest>) -> Result<Response<pb::BeginResponse>, Status> {
        namespace(&request.get_ref().namespace)?;
        Ok(Response::new(pb::BeginResponse { mark: self.store.mark() }))
    }

    type ScanStream = Scan;

    async fn scan(&self, request: Request<pb::ScanRequest>) -> Result<Response<Scan>, Status> {
        let namespace = namespace(&request.get_ref().namespace)?;
        let mut nodes = Vec::new();
        for backend in self.store.ours() {
            let scope = Scope { namespace: namespace.clone(), snapshotter: backend.name().to_owned() };
            for (name, record) in self.store.list(&scope, &Default::default()).map_err(status)? {
                nodes.push(node(&scope, &name, &record));
            }
        }
        let mut nodes = nodes.into_iter();
        let pages = std::iter::from_fn(move || {
            let nodes: Vec<pb::Node> = nodes.by_ref().take(PAGE).collect();
            (!nodes.is_empty()).then_some(Ok(pb::ScanResponse { nodes }))
        });
        Ok(Response::new(Box::pin(tokio_stream::iter(pages))))
    }

    async fn sweep(&self, request: Request<pb::SweepRequest>) -> Result<Response<pb::SweepResponse>, Status> {
        let message = request.into_inner();
        let namespace = namespace(&message.namespace)?;
        let unreached = message.resources.iter().filter_map(|r| snapshot(&namespace, r)).collect();
        let store = self.store.clone();
        let work = async move { store.sweep(&namespace, message.mark, unreached).await };
        let (removed, freed_bytes) = gantry_api::to_the_end(work).await?;
        let removed = removed.iter().map(|(scope, key)| resource(&scope.snapshotter, key)).collect();
        Ok(Response::new(pb::SweepResponse { removed, freed_bytes }))
    }

    async fn touch(&self, request: Request<pb::TouchRequest>) -> Result<Response<pb::TouchResponse>, Status> {
        let message = request.into_inner();
        let namespace = namespace(&message.namespace)?;
        let mut missing = Vec::new();
        for resource in message.resources {
            let there = match snapshot(&namespace, &resource) {
                Some((scope, key)) => self.store.touch(&scope, &key).map_err(status)?,
                None => false,
            };
            if !there {
                missing.push(resource);
            }
        }
        Ok(Response::new(pb::TouchResponse { missing }))
    }
}

#[tonic::async_trait]
impl pb::fsck_server::Fsck for Gc {
    async fn check(&self, request: Request<pb::FsckRequest>) -> Result<Response<pb::FsckResponse>, Status> {
        let repair = if request.get_ref().repair { Repair::Yes } else { Repair::No };
        let found = recover::check(&self.store, repair).await.map_err(status)?;
        let strays = found
            .into_iter()
            .map(|finding| pb::Stray {
                kind: finding.kind.to_owned(),
                name: finding.name,
                detail: finding.detail,
                repaired: finding.repaired,
            })
            .collect();
        Ok(Response::new(pb::FsckResponse { strays }))
    }
}
