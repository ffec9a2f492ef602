//! The client of diff's socket.

use gantry_proto::containerd::services::diff::v1 as pb;
use gantry_proto::containerd::services::diff::v1::diff_client::DiffClient;
use gantry_rpc::Channel;
use gantry_types::Descriptor;

use super::{Apply, Compare, Difference, Durable, Owner, convert};
use crate::call::Caller;
use crate::peers::MESSAGE_LIMIT;
use crate::snapshots::Mount;
use crate::{Failure, Peers, Promise};

/// A client of diff. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
    caller: Caller,
}

impl Client {
    /// The snapshots service among `peers`.
    pub fn new(peers: &Peers) -> Self {
        Self::over(peers.channel("snapshots"), "snapshots")
    }

    /// A client of another differ on a channel.
    pub fn over(channel: Channel, peer: &'static str) -> Self {
        Self { channel, caller: Caller::new(peer) }
    }

    fn rpc(&self) -> DiffClient<Channel> {
        DiffClient::new(self.channel.clone())
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT)
    }
}

impl Promise for Client {
    type Error = Failure;
}

impl Apply for Client {
    async fn apply(
        &self,
        owner: &Owner,
        layer: &Descriptor,
        mounts: Vec<Mount>,
        durable: Durable,
    ) -> Result<Descriptor, Failure> {
        const CALL: &str = "apply a layer";
        let request = pb::ApplyRequest {
            diff: Some(convert::descriptor(layer.clone())),
            mounts: crate::snapshots::convert::mounts(mounts),
            payloads: Default::default(),
            sync_fs: durable == Durable::Yes,
        };
        let answer = self.caller.ask(CALL, self.rpc().apply(owner.ask(request))).await?;
        convert::parse_descriptor(answer.applied).map_err(self.caller.garbled(CALL))
    }
}

impl Compare for Client {
    async fn diff(&self, owner: &Owner, difference: Difference) -> Result<Descriptor, Failure> {
        const CALL: &str = "make a layer of what differs";
        let request = convert::difference(difference);
        let answer = self.caller.ask(CALL, self.rpc().diff(owner.ask(request))).await?;
        convert::parse_descriptor(answer.diff).map_err(self.caller.garbled(CALL))
    }
}
