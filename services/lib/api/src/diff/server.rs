//! containerd's Diff service, over an implementation of the promise.

use gantry_proto::containerd::services::diff::v1 as pb;
use gantry_proto::containerd::services::diff::v1::diff_server::{Diff, DiffServer};
use gantry_rpc::status;
use tonic::{Request, Response, Status};

use super::{Differ, Durable, Owner, convert};
use crate::peers::MESSAGE_LIMIT;
use crate::snapshots::convert::parse_mounts;

/// The service over a differ.
pub fn service<D: Differ + 'static>(differ: D) -> DiffServer<Server<D>> {
    DiffServer::new(Server(differ))
        .max_decoding_message_size(MESSAGE_LIMIT)
        .max_encoding_message_size(MESSAGE_LIMIT)
}

/// Parses, calls, converts. Ends when the caller cancels.
#[derive(Debug, Clone)]
pub struct Server<D>(D);

#[tonic::async_trait]
impl<D: Differ + 'static> Diff for Server<D> {
    async fn apply(&self, request: Request<pb::ApplyRequest>) -> Result<Response<pb::ApplyResponse>, Status> {
        let owner = Owner::of_request(&request)?;
        let request = request.into_inner();
        let layer = convert::parse_descriptor(request.diff).map_err(status)?;
        let durable = if request.sync_fs { Durable::Yes } else { Durable::No };
        let mounts = parse_mounts(request.mounts);
        let applied = self.0.apply(&owner, &layer, mounts, durable).await.map_err(status)?;
        Ok(Response::new(pb::ApplyResponse { applied: Some(convert::descriptor(applied)) }))
    }

    async fn diff(&self, request: Request<pb::DiffRequest>) -> Result<Response<pb::DiffResponse>, Status> {
        let owner = Owner::of_request(&request)?;
        let difference = convert::parse_difference(request.into_inner());
        let made = self.0.diff(&owner, difference).await.map_err(status)?;
        Ok(Response::new(pb::DiffResponse { diff: Some(convert::descriptor(made)) }))
    }
}
