//! `containerd.services.transfer.v1.Transfer`.

use gantry_proto::containerd::services::transfer::v1 as pb;
use gantry_proto::containerd::services::transfer::v1::transfer_server::Transfer as Api;
use gantry_rpc::{context, status};
use tonic::{Request, Response, Status};

use crate::transfer::Transfers;

/// Serves transfers.
pub struct Transfer {
    transfers: Transfers,
}

impl Transfer {
    /// Serves these.
    pub fn new(transfers: Transfers) -> Self {
        Self { transfers }
    }
}

#[tonic::async_trait]
impl Api for Transfer {
    async fn transfer(&self, request: Request<pb::TransferRequest>) -> Result<Response<()>, Status> {
        let namespace = context::namespace(&request)?;
        let lease = context::lease(&request)?;
        let pb::TransferRequest { source, destination, options } = request.into_inner();
        let required = |what: &str| Status::invalid_argument(format!("a transfer needs a {what}"));
        let source = source.ok_or_else(|| required("source"))?;
        let destination = destination.ok_or_else(|| required("destination"))?;
        let progress = options.unwrap_or_default().progress_stream;
        let transfer = self.transfers.run(&namespace, lease, (&source, &destination), &progress);
        transfer.await.map_err(status)?;
        Ok(Response::new(()))
    }
}
