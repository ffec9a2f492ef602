//! The stream of a read: a piece is read when the client has taken the one before.

use futures::stream::{self, Stream};
use gantry_proto::containerd::services::content::v1 as pb;
use gantry_rpc::status;
use tonic::Status;

use crate::content::Reader;
use crate::wire;

/// The responses of a reader whose first byte is at `start`.
pub(super) fn pieces<R>(
    reader: R,
    start: u64,
) -> impl Stream<Item = Result<pb::ReadContentResponse, Status>> + Send
where
    R: Reader,
    R::Error: 'static,
{
    stream::try_unfold((reader, start), |(mut reader, offset)| async move {
        let Some(data) = reader.next().await.map_err(status)? else { return Ok(None) };
        let next = offset + data.len() as u64;
        Ok(Some((pb::ReadContentResponse { offset: wire::signed(offset), data }, (reader, next))))
    })
}
