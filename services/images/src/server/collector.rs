//! `gantry.gc.v1.Collector` and `Fsck`: images as the garbage collection sees them.
//!
//! An image is a root that keeps its target, unless a label says that its time is over.

use std::pin::Pin;
use std::time::SystemTime;

use futures::{Stream, stream};
use gantry_api::Peers;
use gantry_proto::gantry::gc::v1 as pb;
use gantry_proto::gantry::gc::v1::collector_server;
use gantry_proto::gantry::gc::v1::fsck_server;
use gantry_proto::gantry::records::v1::ConditionRequest;
use gantry_rpc::status;
use gantry_types::Namespace;
use gantry_types::gc::{self, Edge};
use tonic::{Request, Response, Status};

use crate::content::Content;
use crate::error::Error;
use crate::moments;
use crate::names::Names;
use crate::record::Record;
use crate::store::Store;

const IMAGES: &str = "images";
/// Nodes in one message of a scan.
const BLOCK: usize = 500;

/// Serves the records to the garbage collection.
pub struct Collector {
    names: Names,
}

impl Collector {
    /// Serves `names`.
    pub fn new(names: Names) -> Self {
        Self { names }
    }
}

fn namespace(text: &str) -> Result<Namespace, Status> {
    text.parse::<Namespace>().map_err(|error| status(Error::from(error)))
}

/// Whether the record has a time to live, and has outlived it.
fn is_expired(record: &Record) -> bool {
    let until = record.labels.get(gc::EXPIRE).and_then(|text| moments::created(Some(text)));
    until.is_some_and(|until| until < SystemTime::now())
}

fn node(record: &Record) -> pb::Node {
    let resource = |kind: String, key: String| pb::Resource { r#type: kind, key };
    let mut references = vec![resource("content".into(), record.target.digest.to_string())];
    references.extend(gc::edges(&record.labels).map(|edge| match edge {
        Edge::Content(digest) => resource("content".into(), digest.to_string()),
        Edge::Snapshot { snapshotter, key } => resource(format!("snapshots/{snapshotter}"), key),
        Edge::Image(name) => resource(IMAGES.into(), name),
    }));
    pb::Node {
        resource: Some(resource(IMAGES.into(), record.name.clone())),
        root: !is_expired(record),
        references,
        ..Default::default()
    }
}

#[tonic::async_trait]
impl collector_server::Collector for Collector {
    async fn namespaces(
        &self,
        _: Request<pb::NamespacesRequest>,
    ) -> Result<Response<pb::NamespacesResponse>, Status> {
        let namespaces = self.names.store().namespaces().map_err(status)?;
        Ok(Response::new(pb::NamespacesResponse {
            namespaces: namespaces.iter().map(ToString::to_string).collect(),
        }))
    }

    async fn begin(&self, _: Request<pb::BeginRequest>) -> Result<Response<pb::BeginResponse>, Status> {
        Ok(Response::new(pb::BeginResponse { mark: Store::mark() }))
    }

    type ScanStream = Pin<Box<dyn Stream<Item = Result<pb::ScanResponse, Status>> + Send>>;

    async fn scan(&self, request: Request<pb::ScanRequest>) -> Result<Response<Self::ScanStream>, Status> {
        let records = self.names.store().list(&namespace(&request.get_ref().namespace)?).map_err(status)?;
        let blocks: Vec<_> = records
            .chunks(BLOCK)
            .map(|block| Ok(pb::ScanResponse { nodes: block.iter().map(node).collect() }))
            .collect();
        Ok(Response::new(Box::pin(stream::iter(blocks))))
    }

    async fn sweep(&self, request: Request<pb::SweepRequest>) -> Result<Response<pb::SweepResponse>, Status> {
        let request = request.into_inner();
        let namespace = namespace(&request.namespace)?;
        let mut removed = Vec::new();
        for resource in request.resources.into_iter().filter(|resource| resource.r#type == IMAGES) {
            let store = self.names.store();
            let Some(record) = store.find(&namespace, &resource.key).map_err(status)? else { continue };
            if !is_expired(&record) || store.touched_since(&namespace, &record.name, request.mark) {
                continue;
            }
            match self.names.delete(&namespace, &record.name, Some(&record.target.digest)).await {
                Ok(_) => removed.push(resource),
                Err(Error::NoRecord(_) | Error::OtherTarget { .. }) => {}
                Err(error) => return Err(status(error)),
            }
        }
        Ok(Response::new(pb::SweepResponse { removed, freed_bytes: 0 }))
    }

    async fn touch(&self, request: Request<pb::TouchRequest>) -> Result<Response<pb::TouchResponse>, Status> {
        let request = request.into_inner();
        let namespace = namespace(&request.namespace)?;
        let mut missing = Vec::new();
        for resource in request.resources.into_iter().filter(|resource| resource.r#type == IMAGES) {
            if !self.names.store().touch(&namespace, &resource.key).map_err(status)? {
                missing.push(resource);
            }
        }
        Ok(Response::new(pb::TouchResponse { missing }))
    }
}

/// Finds images whose target is gone.
pub struct Fsck {
    names: Names,
    content: Content,
    peers: Peers,
}

impl Fsck {
    /// Compares `names` with `content`.
    pub fn new(names: Names, content: Content, peers: Peers) -> Self {
        Self { names, content, peers }
    }
}

#[tonic::async_trait]
impl fsck_server::Fsck for Fsck {
    async fn check(&self, request: Request<pb::FsckRequest>) -> Result<Response<pb::FsckResponse>, Status> {
        let repair = request.get_ref().repair;
        let store = self.names.store();
        // A name is all that is left of an image whose blobs have lost their records: it says what to pull.
        let mut records = self.peers.records("content");
        let condition = records.condition(ConditionRequest {}).await;
        let lost = condition.is_ok_and(|answer| answer.into_inner().lost_at != 0);
        let mut strays = Vec::new();
        for namespace in store.namespaces().map_err(status)? {
            for record in store.list(&namespace).map_err(status)? {
                if self.content.info(&namespace, &record.target.digest).await.map_err(status)?.is_some() {
                    continue;
                }
                let target = Some(&record.target.digest);
                let repaired =
                    repair && !lost && self.names.delete(&namespace, &record.name, target).await.is_ok();
                let detail =
                    format!("namespace {namespace}: its target {} is not in the store", record.target.digest);
                strays.push(pb::Stray { kind: "record".into(), name: record.name, detail, repaired });
            }
        }
        Ok(Response::new(pb::FsckResponse { strays }))
    }
}
