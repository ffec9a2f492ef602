//! The client's end of a read.

use bytes::Bytes;
use gantry_proto::containerd::services::content::v1 as pb;
use tonic::Streaming;

use crate::Failure;
use crate::call::Caller;
use crate::content;

pub(super) const CALL: &str = "read a blob";

/// The responses of a read.
#[derive(Debug)]
pub struct Reader(Option<(Caller, Streaming<pb::ReadContentResponse>)>);

impl Reader {
    pub(super) fn new(caller: Caller, stream: Streaming<pb::ReadContentResponse>) -> Self {
        Self(Some((caller, stream)))
    }

    /// A read of no bytes.
    pub(super) fn empty() -> Self {
        Self(None)
    }
}

impl content::Reader for Reader {
    type Error = Failure;

    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let Some((caller, stream)) = &mut self.0 else { return Ok(None) };
        Ok(caller.hear(CALL, stream.message()).await?.map(|message| message.data))
    }
}
