//! `gantry.gc.v1.Collector` over a store, and `Gc` over a collector.

use std::pin::Pin;

use futures::{Stream, stream};
use gantry_proto::gantry::gc::v1 as pb;
use gantry_proto::gantry::gc::v1::collector_server::CollectorServer;
use gantry_proto::gantry::gc::v1::gc_server::GcServer;
use gantry_rpc::status;
use gantry_types::Namespace;
use tonic::{Request, Response, Status};

use super::{Collect, Collector, Hold, Mark, convert};
use crate::peers::MESSAGE_LIMIT;
use crate::to_the_end;
use crate::wire::Invalid;

/// How many resources a message of a scan has.
const BLOCK: usize = 256;

/// The service of a store.
pub fn collector<S: Collector + Clone + 'static>(store: S) -> CollectorServer<Server<S>> {
    CollectorServer::new(Server(store)).max_decoding_message_size(MESSAGE_LIMIT)
}

/// The service of the collector.
pub fn service<S>(collector: S) -> GcServer<Server<S>>
where
    S: Hold + Collect + Clone + 'static,
{
    GcServer::new(Server(collector)).max_decoding_message_size(MESSAGE_LIMIT)
}

/// Parses, calls, converts. A sweep runs to its end even if the collector cancels.
#[derive(Debug, Clone)]
pub struct Server<S>(S);

fn namespace(text: &str) -> Result<Namespace, Status> {
    text.parse().map_err(|error| status(Invalid::Argument(error)))
}

#[tonic::async_trait]
impl<S: Collector + Clone + 'static> pb::collector_server::Collector for Server<S> {
    type ScanStream = Pin<Box<dyn Stream<Item = Result<pb::ScanResponse, Status>> + Send>>;

    async fn namespaces(
        &self,
        _: Request<pb::NamespacesRequest>,
    ) -> Result<Response<pb::NamespacesResponse>, Status> {
        let namespaces = self.0.namespaces().await.map_err(status)?;
        let namespaces = namespaces.iter().map(ToString::to_string).collect();
        Ok(Response::new(pb::NamespacesResponse { namespaces }))
    }

    async fn begin(&self, request: Request<pb::BeginRequest>) -> Result<Response<pb::BeginResponse>, Status> {
        let mark = self.0.begin(&namespace(&request.get_ref().namespace)?).await.map_err(status)?;
        Ok(Response::new(pb::BeginResponse { mark: mark.0 }))
    }

    async fn scan(&self, request: Request<pb::ScanRequest>) -> Result<Response<Self::ScanStream>, Status> {
        let nodes = self.0.scan(&namespace(&request.get_ref().namespace)?).await.map_err(status)?;
        let mut nodes = nodes.into_iter().map(convert::node);
        let blocks = std::iter::from_fn(move || {
            let nodes: Vec<pb::Node> = nodes.by_ref().take(BLOCK).collect();
            (!nodes.is_empty()).then_some(Ok(pb::ScanResponse { nodes }))
        });
        Ok(Response::new(Box::pin(stream::iter(blocks))))
    }

    async fn sweep(&self, request: Request<pb::SweepRequest>) -> Result<Response<pb::SweepResponse>, Status> {
        let request = request.into_inner();
        let (store, namespace) = (self.0.clone(), namespace(&request.namespace)?);
        let unreached = convert::parse_resources(request.resources);
        let sweep = async move { store.sweep(&namespace, Mark(request.mark), unreached).await };
        let swept = to_the_end(sweep).await?;
        let removed = convert::resources(swept.removed);
        Ok(Response::new(pb::SweepResponse { removed, freed_bytes: swept.freed }))
    }

    async fn touch(&self, request: Request<pb::TouchRequest>) -> Result<Response<pb::TouchResponse>, Status> {
        let request = request.into_inner();
        let resources = convert::parse_resources(request.resources);
        let missing = self.0.touch(&namespace(&request.namespace)?, resources).await.map_err(status)?;
        Ok(Response::new(pb::TouchResponse { missing: convert::resources(missing) }))
    }
}

#[tonic::async_trait]
impl<S: Hold + Collect + Clone + 'static> pb::gc_server::Gc for Server<S> {
    async fn collect(
        &self,
        request: Request<pb::CollectRequest>,
    ) -> Result<Response<pb::CollectResponse>, Status> {
        let namespace = match request.get_ref().namespace.as_str() {
            "" => None,
            name => Some(namespace(name)?),
        };
        let swept = self.0.collect(namespace.as_ref()).await.map_err(status)?;
        let removed = convert::resources(swept.removed);
        Ok(Response::new(pb::CollectResponse { removed, freed_bytes: swept.freed }))
    }

    async fn hold(&self, request: Request<pb::HoldRequest>) -> Result<Response<pb::HoldResponse>, Status> {
        let request = request.into_inner();
        let resources = convert::parse_resources(request.resources);
        self.0.hold(&namespace(&request.namespace)?, resources).await.map_err(status)?;
        Ok(Response::new(pb::HoldResponse {}))
    }
}
