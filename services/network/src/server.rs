//! gRPC in, the switchboard out: parse, call, convert.
//!
//! A change goes on to its end also when its caller goes away: half of it would have to be undone otherwise.

mod convert;

use gantry_proto::gantry::gc::v1 as gc;
use gantry_proto::gantry::network::v1 as pb;
use gc::fsck_server::{Fsck, FsckServer};
use pb::networks_server::{Networks, NetworksServer};
use pb::sandboxes_server::{Sandboxes, SandboxesServer};
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::error::{Error, Result};
use crate::switchboard::{Switchboard, blocking};

/// The routes of the service.
pub fn routes(board: &Switchboard) -> tonic::service::Routes {
    let mut routes = tonic::service::RoutesBuilder::default();
    routes.add_service(NetworksServer::new(Server(board.clone())));
    routes.add_service(SandboxesServer::new(Server(board.clone())));
    routes.add_service(FsckServer::new(Server(board.clone())));
    routes.add_service(gantry_records::server(board.0.store.database.clone()));
    routes.routes()
}

struct Server(Switchboard);

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
        let wish = convert::network_wish(request.into_inner());
        let board = self.0.clone();
        let network = to_the_end(async move { board.create_network(wish).await }).await?;
        Ok(Response::new(convert::network(&network, Vec::new())))
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
        let (board, reference) = (self.0.clone(), request.into_inner().network);
        let network = to_the_end(async move { board.remove_network(&reference).await }).await?;
        Ok(Response::new(pb::RemoveResponse { network: Some(convert::network(&network, Vec::new())) }))
    }

    async fn withdraw(
        &self,
        _: Request<pb::WithdrawRequest>,
    ) -> std::result::Result<Response<pb::WithdrawResponse>, Status> {
        let board = self.0.clone();
        to_the_end(async move { board.withdraw().await }).await?;
        Ok(Response::new(pb::WithdrawResponse {}))
    }
}

#[tonic::async_trait]
impl Sandboxes for Server {
    async fn attach(
        &self,
        request: Request<pb::AttachRequest>,
    ) -> std::result::Result<Response<pb::Sandbox>, Status> {
        let wish = convert::sandbox_wish(request.into_inner()).map_err(gantry_rpc::status)?;
        let board = self.0.clone();
        let found = to_the_end(async move { board.attach(wish).await }).await?;
        Ok(Response::new(self.0.describe_sandbox(&found)))
    }

    async fn detach(
        &self,
        request: Request<pb::DetachRequest>,
    ) -> std::result::Result<Response<pb::DetachResponse>, Status> {
        let (board, id) = (self.0.clone(), request.into_inner().sandbox);
        to_the_end(async move { board.detach(&id).await }).await?;
        Ok(Response::new(pb::DetachResponse {}))
    }

    async fn connect(
        &self,
        request: Request<pb::ConnectRequest>,
    ) -> std::result::Result<Response<pb::Sandbox>, Status> {
        let request = request.into_inner();
        let wish =
            convert::endpoint_wish(request.endpoint.unwrap_or_default()).map_err(gantry_rpc::status)?;
        let (board, id) = (self.0.clone(), request.sandbox);
        let found = to_the_end(async move { board.connect(&id, wish).await }).await?;
        Ok(Response::new(self.0.describe_sandbox(&found)))
    }

    async fn disconnect(
        &self,
        request: Request<pb::DisconnectRequest>,
    ) -> std::result::Result<Response<pb::Sandbox>, Status> {
        let request = request.into_inner();
        let board = self.0.clone();
        let found =
            to_the_end(async move { board.disconnect(&request.sandbox, &request.network).await }).await?;
        Ok(Response::new(self.0.describe_sandbox(&found)))
    }

    async fn get(
        &self,
        request: Request<pb::GetSandboxRequest>,
    ) -> std::result::Result<Response<pb::Sandbox>, Status> {
        let found = self.0.sandbox(&request.get_ref().sandbox).map_err(gantry_rpc::status)?;
        Ok(Response::new(self.0.describe_sandbox(&found)))
    }

    async fn list(
        &self,
        _: Request<pb::ListSandboxesRequest>,
    ) -> std::result::Result<Response<pb::ListSandboxesResponse>, Status> {
        let sandboxes = self.0.sandboxes().iter().map(|found| self.0.describe_sandbox(found)).collect();
        Ok(Response::new(pb::ListSandboxesResponse { sandboxes }))
    }

    async fn rename(
        &self,
        request: Request<pb::RenameRequest>,
    ) -> std::result::Result<Response<pb::Sandbox>, Status> {
        let request = request.into_inner();
        let board = self.0.clone();
        let found = to_the_end(async move { board.rename(&request.sandbox, request.name).await }).await?;
        Ok(Response::new(self.0.describe_sandbox(&found)))
    }
}

#[tonic::async_trait]
impl Fsck for Server {
    async fn check(
        &self,
        request: Request<gc::FsckRequest>,
    ) -> std::result::Result<Response<gc::FsckResponse>, Status> {
        let (board, repair) = (self.0.clone(), request.get_ref().repair);
        // What is on its way out is no stray.
        board.0.reaper.catch_up().await;
        let found = blocking(move || board.check(repair)).await.map_err(gantry_rpc::status)?;
        let stray = |stray: crate::recover::Stray| gc::Stray {
            kind: stray.kind.to_owned(),
            repaired: stray.repaired,
            name: stray.name,
            detail: stray.detail,
        };
        Ok(Response::new(gc::FsckResponse { strays: found.into_iter().map(stray).collect() }))
    }
}
