//! The client's end of an unpacking.

use gantry_proto::gantry::snapshots::v1 as pb;
use gantry_proto::gantry::snapshots::v1::unpacker_client::UnpackerClient;
use tonic::Streaming;

use super::super::{Layer, Owner, Progress, Unpack, convert};
use super::Client;
use crate::Failure;
use crate::call::Caller;
use crate::peers::MESSAGE_LIMIT;

const CALL: &str = "unpack layers";

/// An unpacking; dropping it cancels it.
#[derive(Debug)]
pub struct Unpacking {
    caller: Caller,
    stream: Streaming<pb::UnpackProgress>,
}

impl Unpack for Client {
    type Unpacking = Unpacking;

    async fn unpack(
        &self,
        owner: &Owner,
        snapshotter: Option<&str>,
        layers: Vec<Layer>,
    ) -> Result<Unpacking, Failure> {
        let mut rpc = UnpackerClient::new(self.channel.clone()).max_encoding_message_size(MESSAGE_LIMIT);
        let snapshotter = snapshotter.unwrap_or_default().to_owned();
        let layers = layers.into_iter().map(convert::layer).collect();
        let request = owner.ask(pb::UnpackRequest { snapshotter, layers });
        let stream = self.caller.ask(CALL, rpc.unpack(request)).await?;
        Ok(Unpacking { caller: self.caller, stream })
    }
}

impl super::super::Unpacking for Unpacking {
    type Error = Failure;

    async fn next(&mut self) -> Result<Option<Progress>, Failure> {
        match self.caller.hear(CALL, self.stream.message()).await? {
            None => Ok(None),
            Some(news) => convert::parse_progress(news).map(Some).map_err(self.caller.garbled(CALL)),
        }
    }
}
