//! A fake of control as far as images needs it: leases, holds, and a subscriber to events.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::Stream;
use gantry_fakes::Content;
use gantry_proto::containerd::services::events::v1 as events;
use gantry_proto::containerd::services::leases::v1 as leases;
use gantry_proto::containerd::types::Envelope;
use gantry_proto::gantry::gc::v1 as gc;
use parking_lot::Mutex;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

#[derive(Clone)]
pub struct Control {
    content: Content,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    leases: BTreeMap<String, leases::Lease>,
    topics: Vec<String>,
    collections: usize,
    stalled: bool,
}

impl Control {
    pub fn new(content: Content) -> Self {
        Self { content, state: Arc::default() }
    }

    pub fn routes(&self) -> Routes {
        Routes::new(leases::leases_server::LeasesServer::new(self.clone()))
            .add_service(events::events_server::EventsServer::new(self.clone()))
            .add_service(gc::gc_server::GcServer::new(self.clone()))
    }

    fn state<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock())
    }

    pub fn leases(&self) -> usize {
        self.state(|state| state.leases.len())
    }

    pub fn topics(&self) -> Vec<String> {
        self.state(|state| state.topics.clone())
    }

    /// What leases say that they are for.
    pub fn purposes(&self) -> Vec<String> {
        let purpose = |lease: &leases::Lease| lease.labels["gantry.io/images.purpose"].clone();
        self.state(|state| state.leases.values().map(purpose).collect())
    }

    /// From now on, or not any more: holds wait, and so do removals of leases, which fail afterwards.
    pub fn stall(&self, stalled: bool) {
        self.state(|state| state.stalled = stalled);
    }

    /// Waits as long as it is stalled; whether it was.
    async fn stalling(&self) -> bool {
        let mut waited = false;
        while self.state(|state| state.stalled) {
            waited = true;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        waited
    }

    pub fn collections(&self) -> usize {
        self.state(|state| state.collections)
    }
}

#[tonic::async_trait]
impl leases::leases_server::Leases for Control {
    async fn create(
        &self,
        request: Request<leases::CreateRequest>,
    ) -> Result<Response<leases::CreateResponse>, Status> {
        let request = request.into_inner();
        let lease = leases::Lease {
            id: request.id,
            labels: request.labels,
            created_at: Some(SystemTime::now().into()),
        };
        self.state(|state| state.leases.insert(lease.id.clone(), lease.clone()));
        Ok(Response::new(leases::CreateResponse { lease: Some(lease) }))
    }

    async fn delete(&self, request: Request<leases::DeleteRequest>) -> Result<Response<()>, Status> {
        if self.stalling().await {
            return Err(Status::unavailable("too late"));
        }
        let id = request.into_inner().id;
        let found = self.state(|state| state.leases.remove(&id));
        found.map(|_| Response::new(())).ok_or_else(|| Status::not_found(id))
    }

    async fn list(
        &self,
        request: Request<leases::ListRequest>,
    ) -> Result<Response<leases::ListResponse>, Status> {
        let filters = request.into_inner().filters;
        let wanted = |lease: &leases::Lease| {
            lease.labels.iter().any(|(key, value)| {
                let field = format!("labels.\"{key}\"");
                filters.iter().any(|filter| *filter == field || *filter == format!("{field}=={value:?}"))
            })
        };
        let leases =
            self.state(|state| state.leases.values().filter(|lease| wanted(lease)).cloned().collect());
        Ok(Response::new(leases::ListResponse { leases }))
    }

    async fn add_resource(&self, _: Request<leases::AddResourceRequest>) -> Result<Response<()>, Status> {
        Err(Status::unimplemented("not in these tests"))
    }

    async fn delete_resource(
        &self,
        _: Request<leases::DeleteResourceRequest>,
    ) -> Result<Response<()>, Status> {
        Err(Status::unimplemented("not in these tests"))
    }

    async fn list_resources(
        &self,
        _: Request<leases::ListResourcesRequest>,
    ) -> Result<Response<leases::ListResourcesResponse>, Status> {
        Err(Status::unimplemented("not in these tests"))
    }
}

#[tonic::async_trait]
impl events::events_server::Events for Control {
    async fn publish(&self, _: Request<events::PublishRequest>) -> Result<Response<()>, Status> {
        Err(Status::unimplemented("not in these tests"))
    }

    async fn forward(&self, request: Request<events::ForwardRequest>) -> Result<Response<()>, Status> {
        let envelope = request.into_inner().envelope.expect("an envelope");
        self.state(|state| state.topics.push(envelope.topic));
        Ok(Response::new(()))
    }

    type SubscribeStream = Pin<Box<dyn Stream<Item = Result<Envelope, Status>> + Send>>;

    async fn subscribe(
        &self,
        _: Request<events::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        Err(Status::unimplemented("not in these tests"))
    }
}

#[tonic::async_trait]
impl gc::gc_server::Gc for Control {
    async fn collect(&self, _: Request<gc::CollectRequest>) -> Result<Response<gc::CollectResponse>, Status> {
        self.state(|state| state.collections += 1);
        Ok(Response::new(gc::CollectResponse { removed: Vec::new(), freed_bytes: 7 }))
    }

    async fn hold(&self, request: Request<gc::HoldRequest>) -> Result<Response<gc::HoldResponse>, Status> {
        self.stalling().await;
        let request = request.into_inner();
        let namespace = request.namespace.parse().expect("an identifier");
        for resource in request.resources {
            let digest = resource.key.parse().expect("a digest");
            if !self.content.has(&namespace, &digest) {
                return Err(Status::not_found(format!("{digest} is gone")));
            }
        }
        Ok(Response::new(gc::HoldResponse {}))
    }
}
