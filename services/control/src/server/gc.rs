//! `gantry.gc.v1.Gc`.

use gantry_proto::gantry::gc::v1 as pb;
use gantry_proto::gantry::gc::v1::gc_server::Gc as Api;
use gantry_rpc::status;
use tonic::{Request, Response, Status};

use crate::error::Error;
use crate::gc::graph::Resource;
use crate::gc::schedule::Scheduler;
use crate::gc::store::{Store, from_proto, to_proto};
use crate::gc::{Collector, Outcome};

/// The server.
pub struct Server<S> {
    collector: Collector<S>,
    scheduler: Scheduler<S>,
}

impl<S: Store> Server<S> {
    /// Serves this collector.
    pub fn new(collector: Collector<S>, scheduler: Scheduler<S>) -> Server<S> {
        Server { collector, scheduler }
    }

    async fn collect(&self, namespace: String) -> Result<Outcome, Error> {
        if !namespace.is_empty() {
            return self.scheduler.collect(&namespace).await;
        }
        let mut all = Outcome::default();
        for namespace in self.collector.namespaces().await? {
            let outcome = self.scheduler.collect(&namespace).await?;
            all.removed.extend(outcome.removed);
            all.freed += outcome.freed;
        }
        Ok(all)
    }
}

#[tonic::async_trait]
impl<S: Store> Api for Server<S> {
    async fn collect(
        &self,
        request: Request<pb::CollectRequest>,
    ) -> Result<Response<pb::CollectResponse>, Status> {
        let outcome = self.collect(request.into_inner().namespace).await.map_err(status)?;
        let removed = outcome.removed.into_iter().map(to_proto).collect();
        Ok(Response::new(pb::CollectResponse { removed, freed_bytes: outcome.freed }))
    }

    async fn hold(&self, request: Request<pb::HoldRequest>) -> Result<Response<pb::HoldResponse>, Status> {
        let request = request.into_inner();
        let resources: Vec<Resource> = request.resources.into_iter().map(from_proto).collect();
        self.collector.hold(&request.namespace, &resources).await.map_err(status)?;
        Ok(Response::new(pb::HoldResponse {}))
    }
}
