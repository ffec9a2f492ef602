//! gRPC in, the controller out: parse, call, convert.
//!
//! A change goes on to its end also when its caller goes away: half of it would have to be undone otherwise.

mod convert;

use gantry_proto::gantry::gc::v1 as gc;
use gantry_proto::gantry::network::v1 as pb;
use gc::fsck_server::{Fsck, FsckServer};
use pb::network_namespaces_server::{NetworkNamespaces, NetworkNamespacesServer};
use pb::networks_server::{Networks, NetworksServer};
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::controller::{Controller, blocking};
use crate::error::{Error, Result};

/// The routes of the service.
pub fn routes(controller: &Controller) -> tonic::service::Routes {
    let mut routes = tonic::service::RoutesBuilder::default();
    routes.add_service(NetworksServer::new(Server(controller.clone())));
    routes.add_service(NetworkNamespacesServer::new(Server(controller.clone())));
    routes.add_service(FsckServer::new(Server(controller.clone())));
    routes.add_service(gantry_records::server(controller.0.store.database.clone()));
    routes.routes()
}

struct Server(Controller);

/// Runs a change to its end, whoever waits for it.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> std::result::Result<T, Status> {
    let done =
        tokio::spawn(work.in_current_span()).await.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::ShuttingDown),
        });
    done.map_err(gantry_rpc::status)
}

#[tonic::async_trait]
impl Networks for Server {
    async fn create(
        &self,
        request: Request<pb::CreateRequest>,
    ) -> std::result::Result<Response<pb::Network>, Status> {
        let spec = convert::network_spec(request.into_inner());
        let controller = self.0.clone();
        let network = to_the_end(async move { controller.create_network(spec).await }).await?;
        Ok(Response::new(convert::network(&self.0.0.drivers, &network, Vec::new())))
    }

    async fn get(
        &self,
        request: Request<pb::GetRequest>,
    ) -> std::result::Result<Response<pb::Network>, Status> {
        let found = self.0.describe(&request.get_ref().network).map_err(gantry_rpc::status)?;
        Ok(Response::new(found))
    }

    async fn list(
        &self,
        _: Request<pb::ListRequest>,
    ) -> std::result::Result<Response<pb::ListResponse>, Status> {
        Ok(Response::new(pb::ListResponse { networks: self.0.describe_all() }))
    }

    async fn remove(
        &self,
        request: Request<pb::RemoveRequest>,
    ) -> std::result::Result<Response<pb::RemoveResponse>, Status> {
        let (controller, reference) = (self.0.clone(), request.into_inner().network);
        let network = to_the_end(async move { controller.remove_network(&reference).await }).await?;
        Ok(Response::new(pb::RemoveResponse {
            network: Some(convert::network(&self.0.0.drivers, &network, Vec::new())),
        }))
    }

    async fn withdraw(
        &self,
        _: Request<pb::WithdrawRequest>,
    ) -> std::result::Result<Response<pb::WithdrawResponse>, Status> {
        let controller = self.0.clone();
        to_the_end(async move { controller.withdraw().await }).await?;
        Ok(Response::new(pb::WithdrawResponse {}))
    }
}

#[tonic::async_trait]
impl NetworkNamespaces for Server {
    async fn attach(
        &self,
        request: Request<pb::AttachRequest>,
    ) -> std::result::Result<Response<pb::Netns>, Status> {
        let spec = convert::netns_spec(request.into_inner()).map_err(gantry_rpc::status)?;
        let controller = self.0.clone();
        let found = to_the_end(async move { controller.attach(spec).await }).await?;
        Ok(Response::new(self.0.describe_netns(&found)))
    }

    async fn detach(
        &self,
        request: Request<pb::DetachRequest>,
    ) -> std::result::Result<Response<pb::DetachResponse>, Status> {
        let (controller, id) = (self.0.clone(), request.into_inner().netns);
        to_the_end(async move { controller.detach(&id).await }).await?;
        Ok(Response::new(pb::DetachResponse {}))
    }

    async fn connect(
        &self,
        request: Request<pb::ConnectRequest>,
    ) -> std::result::Result<Response<pb::Netns>, Status> {
        let request = request.into_inner();
        let spec =
            convert::endpoint_spec(request.endpoint.unwrap_or_default()).map_err(gantry_rpc::status)?;
        let (controller, id) = (self.0.clone(), request.netns);
        let found = to_the_end(async move { controller.connect(&id, spec).await }).await?;
        Ok(Response::new(self.0.describe_netns(&found)))
    }

    async fn disconnect(
        &self,
        request: Request<pb::DisconnectRequest>,
    ) -> std::result::Result<Response<pb::Netns>, Status> {
        let request = request.into_inner();
        let controller = self.0.clone();
        let found =
            to_the_end(async move { controller.disconnect(&request.netns, &request.network).await }).await?;
        Ok(Response::new(self.0.describe_netns(&found)))
    }

    async fn get(
        &self,
        request: Request<pb::GetNetnsRequest>,
    ) -> std::result::Result<Response<pb::Netns>, Status> {
        let found = self.0.netns(&request.get_ref().netns).map_err(gantry_rpc::status)?;
        Ok(Response::new(self.0.describe_netns(&found)))
    }

    async fn list(
        &self,
        _: Request<pb::ListNetnsRequest>,
    ) -> std::result::Result<Response<pb::ListNetnsResponse>, Status> {
        let netns = self.0.all_netns().iter().map(|found| self.0.describe_netns(found)).collect();
        Ok(Response::new(pb::ListNetnsResponse { netns }))
    }

    async fn rename(
        &self,
        request: Request<pb::RenameRequest>,
    ) -> std::result::Result<Response<pb::Netns>, Status> {
        let request = request.into_inner();
        let controller = self.0.clone();
        let found = to_the_end(async move { controller.rename(&request.netns, request.name).await }).await?;
        Ok(Response::new(self.0.describe_netns(&found)))
    }
}

#[tonic::async_trait]
impl Fsck for Server {
    async fn check(
        &self,
        request: Request<gc::FsckRequest>,
    ) -> std::result::Result<Response<gc::FsckResponse>, Status> {
        let (controller, repair) = (self.0.clone(), request.get_ref().repair);
        // What is on its way out is no stray.
        controller.0.host.deleter.catch_up().await;
        let found = blocking(move || controller.check(repair)).await.map_err(gantry_rpc::status)?;
        let stray = |stray: crate::fsck::Stray| gc::Stray {
            kind: stray.kind.to_owned(),
            repaired: stray.repaired,
            name: stray.name,
            detail: stray.detail,
        };
        Ok(Response::new(gc::FsckResponse { strays: found.into_iter().map(stray).collect() }))
    }
}
