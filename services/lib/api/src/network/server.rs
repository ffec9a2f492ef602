//! The gRPC services over an implementation of the promise.

use gantry_proto::gantry::network::v1 as pb;
use gantry_rpc::status;
use pb::network_namespaces_server::{NetworkNamespaces, NetworkNamespacesServer};
use pb::networks_server::{Networks, NetworksServer};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::{Service, convert};
use crate::to_the_end;

/// The services over an implementation.
pub fn routes<S: Service + Clone + 'static>(service: S) -> Routes {
    let networks = NetworksServer::new(Server(service.clone()));
    Routes::new(networks).add_service(NetworkNamespacesServer::new(Server(service)))
}

/// Parses, calls, converts. Changes run to their end even if their callers cancel: a half-done change would have to
/// be undone.
#[derive(Debug, Clone)]
pub struct Server<S>(S);

#[tonic::async_trait]
impl<S: Service + Clone + 'static> Networks for Server<S> {
    async fn create(&self, request: Request<pb::CreateRequest>) -> Result<Response<pb::Network>, Status> {
        let (service, spec) = (self.0.clone(), convert::parse_network_spec(request.into_inner()));
        let network = to_the_end(async move { service.create(spec).await }).await?;
        Ok(Response::new(convert::network(network)))
    }

    async fn get(&self, request: Request<pb::GetRequest>) -> Result<Response<pb::Network>, Status> {
        let found = self.0.network(&request.get_ref().network).await.map_err(status)?;
        Ok(Response::new(convert::network(found)))
    }

    async fn list(&self, _: Request<pb::ListRequest>) -> Result<Response<pb::ListResponse>, Status> {
        let networks = self.0.networks().await.map_err(status)?;
        let networks = networks.into_iter().map(convert::network).collect();
        Ok(Response::new(pb::ListResponse { networks }))
    }

    async fn drivers(&self, _: Request<pb::DriversRequest>) -> Result<Response<pb::DriversResponse>, Status> {
        let drivers = self.0.drivers().await.map_err(status)?;
        Ok(Response::new(pb::DriversResponse { drivers }))
    }

    async fn remove(
        &self,
        request: Request<pb::RemoveRequest>,
    ) -> Result<Response<pb::RemoveResponse>, Status> {
        let (service, reference) = (self.0.clone(), request.into_inner().network);
        let network = to_the_end(async move { service.remove(&reference).await }).await?;
        Ok(Response::new(pb::RemoveResponse { network: Some(convert::network(network)) }))
    }

    async fn withdraw(
        &self,
        _: Request<pb::WithdrawRequest>,
    ) -> Result<Response<pb::WithdrawResponse>, Status> {
        let service = self.0.clone();
        to_the_end(async move { service.withdraw().await }).await?;
        Ok(Response::new(pb::WithdrawResponse {}))
    }
}

#[tonic::async_trait]
impl<S: Service + Clone + 'static> NetworkNamespaces for Server<S> {
    async fn attach(&self, request: Request<pb::AttachRequest>) -> Result<Response<pb::Netns>, Status> {
        let spec = convert::parse_netns_spec(request.into_inner()).map_err(status)?;
        let service = self.0.clone();
        let netns = to_the_end(async move { service.attach(spec).await }).await?;
        Ok(Response::new(convert::netns(netns)))
    }

    async fn detach(
        &self,
        request: Request<pb::DetachRequest>,
    ) -> Result<Response<pb::DetachResponse>, Status> {
        let (service, id) = (self.0.clone(), request.into_inner().netns);
        to_the_end(async move { service.detach(&id).await }).await?;
        Ok(Response::new(pb::DetachResponse {}))
    }

    async fn connect(&self, request: Request<pb::ConnectRequest>) -> Result<Response<pb::Netns>, Status> {
        let request = request.into_inner();
        let endpoint = convert::parse_endpoint_spec(request.endpoint.unwrap_or_default()).map_err(status)?;
        let service = self.0.clone();
        let netns = to_the_end(async move { service.connect(&request.netns, endpoint).await }).await?;
        Ok(Response::new(convert::netns(netns)))
    }

    async fn disconnect(
        &self,
        request: Request<pb::DisconnectRequest>,
    ) -> Result<Response<pb::Netns>, Status> {
        let (service, request) = (self.0.clone(), request.into_inner());
        let work = async move { service.disconnect(&request.netns, &request.network).await };
        Ok(Response::new(convert::netns(to_the_end(work).await?)))
    }

    async fn get(&self, request: Request<pb::GetNetnsRequest>) -> Result<Response<pb::Netns>, Status> {
        let found = self.0.netns(&request.get_ref().netns).await.map_err(status)?;
        Ok(Response::new(convert::netns(found)))
    }

    async fn list(
        &self,
        _: Request<pb::ListNetnsRequest>,
    ) -> Result<Response<pb::ListNetnsResponse>, Status> {
        let all = self.0.all_netns().await.map_err(status)?;
        Ok(Response::new(pb::ListNetnsResponse { netns: all.into_iter().map(convert::netns).collect() }))
    }

    async fn rename(&self, request: Request<pb::RenameRequest>) -> Result<Response<pb::Netns>, Status> {
        let (service, request) = (self.0.clone(), request.into_inner());
        let work = async move { service.rename(&request.netns, &request.name).await };
        Ok(Response::new(convert::netns(to_the_end(work).await?)))
    }
}
