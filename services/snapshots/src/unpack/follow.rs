//! Telling a reading thread how far its blob has come, whatever becomes of content meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_api::Peers;
use gantry_api::content::IngestRef;
use gantry_api::ingest::{Followed, Follower};
use gantry_api::snapshots::{Layer, Owner};
use tonic::{Code, Status};

use crate::layer::blob::Blob;
use crate::{Error, Result};

/// How long content may be away before a pull is given up.
const AWAY: Duration = Duration::from_secs(60);
/// Between attempts to reach it.
const PAUSE: Duration = Duration::from_millis(100);
/// How long content waits for a blob to begin, at a time.
const WAIT_MILLIS: u32 = 30_000;

/// How following ended.
pub(super) enum End {
    /// All bytes are there, and content has proved them.
    Committed,
    /// What was read is worthless; it may begin anew.
    Aborted(String),
}

/// Follows a layer's blob to its end.
///
/// While content is away the reader keeps what it has; afterwards the file is opened anew and it goes on. A blob that
/// has an ingest's name may take any time to begin: who asked drops the call when it is not coming.
pub(super) async fn follow(peers: &Peers, owner: &Owner, layer: &Layer, blob: &Arc<Blob>) -> Result<End> {
    let mut away_since: Option<Instant> = None;
    let reference = layer.reference.as_ref().map_or("", IngestRef::as_str);
    loop {
        let wait = if reference.is_empty() { 0 } else { WAIT_MILLIS };
        let status = match Follower::open(peers, owner, reference, &layer.blob, wait).await {
            Ok((follower, file)) => {
                away_since = None;
                blob.set_file(file);
                match listen(follower, layer, blob).await? {
                    Ok(end) => return Ok(end),
                    Err(status) => status,
                }
            }
            Err(status) => status,
        };
        match status.code() {
            Code::NotFound if !reference.is_empty() => continue,
            Code::Unavailable if away_since.get_or_insert_with(Instant::now).elapsed() < AWAY => {
                tokio::time::sleep(PAUSE).await;
            }
            _ => return Err(Error::Peer { peer: "content", status }),
        }
    }
}

async fn listen(mut follower: Follower, layer: &Layer, blob: &Arc<Blob>) -> Result<Result<End, Status>> {
    loop {
        match follower.next().await {
            Ok(Followed::Available(offset)) => blob.advance(offset),
            Ok(Followed::Committed { digest, size }) => {
                if !digest.is_empty() && digest != layer.blob.as_str() {
                    return Err(Error::WrongBlob { expected: layer.blob.clone(), actual: digest });
                }
                blob.commit(size);
                return Ok(Ok(End::Committed));
            }
            Ok(Followed::Aborted(reason)) => return Ok(Ok(End::Aborted(reason))),
            Err(status) => return Ok(Err(status)),
        }
    }
}
