//! containerd's Diff.

use gantry_api::Peers;
use gantry_proto::containerd::services::diff::v1 as pb;
use gantry_rooted::Time;
use gantry_rpc::status;
use tonic::{Request, Response, Status};

use super::convert::{self, owner};
use crate::diff::{Difference, Durable, apply, diff};
use crate::layer::slots::Slots;

pub struct Diff {
    peers: Peers,
    slots: Slots,
}

impl Diff {
    pub fn new(peers: Peers, slots: Slots) -> Self {
        Self { peers, slots }
    }
}

#[tonic::async_trait]
impl pb::diff_server::Diff for Diff {
    async fn apply(&self, request: Request<pb::ApplyRequest>) -> Result<Response<pb::ApplyResponse>, Status> {
        let owner = owner(&request)?;
        let message = request.into_inner();
        let layer = convert::descriptor(message.diff)?;
        let durable = if message.sync_fs { Durable::Yes } else { Durable::No };
        let mounts = convert::to_mounts(message.mounts);
        let applied =
            apply(&self.peers, &owner, &layer, mounts, durable, &self.slots).await.map_err(status)?;
        Ok(Response::new(pb::ApplyResponse { applied: Some(convert::to_descriptor(applied)) }))
    }

    async fn diff(&self, request: Request<pb::DiffRequest>) -> Result<Response<pb::DiffResponse>, Status> {
        let owner = owner(&request)?;
        let message = request.into_inner();
        let newest = message
            .source_date_epoch
            .map(|time| Time { seconds: time.seconds, nanos: u32::try_from(time.nanos).unwrap_or(0) });
        let difference = Difference {
            left: convert::to_mounts(message.left),
            right: convert::to_mounts(message.right),
            media_type: message.media_type,
            reference: message.r#ref,
            labels: message.labels,
            newest,
        };
        let made = diff(&self.peers, &owner, difference).await.map_err(status)?;
        Ok(Response::new(pb::DiffResponse { diff: Some(convert::to_descriptor(made)) }))
    }
}
