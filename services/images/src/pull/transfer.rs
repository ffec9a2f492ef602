//! Layers on their way from the registry into content, and followed into snapshots.
//!
//! Every layer's ingest is opened first, so that whoever unpacks finds it; then they are fetched, some at a time.
//! A layer that another pull has open is not fetched but followed; when that pull goes away, it is taken over.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt, TryStreamExt};
use gantry_api::ingest::{Followed, Follower, Writer};
use gantry_failpoint::failpoint;
use gantry_types::{Descriptor, DiffId, Digest};
use std::os::unix::fs::FileExt;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tonic::Code;

use super::plan::{Sources, origin_label};
use crate::content::{blocking, local};
use crate::error::Error;
use crate::progress::{Progress, State};

/// The ingest under which a layer arrives: containerd's name for it, which progress bars look for.
pub fn layer_ref(digest: &Digest) -> String {
    format!("layer-{digest}")
}

/// A layer, and how it stands at the beginning.
#[derive(Debug)]
pub struct Transfer {
    descriptor: Descriptor,
    opened: Opened,
}

#[derive(Debug)]
enum Opened {
    Present,
    Mine(Writer),
    Others,
}

/// Bytes are written, and told of, in portions of this size.
const PORTION: usize = 1 << 20;
/// Smaller portions are written after that long: what is only in memory is lost with the process.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a follower hears nothing before it looks whether the writer is gone.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between looks at an ingest whose writer may be gone.
const BETWEEN: Duration = Duration::from_millis(20);

impl Transfer {
    /// Opens the ingest of a layer, unless it is there or on its way.
    pub async fn open(sources: Sources<'_>, descriptor: Descriptor) -> Result<Self, Error> {
        let opened = open(sources, &descriptor).await?;
        Ok(Self { descriptor, opened })
    }

    /// Whether the blob is in the store.
    pub fn is_present(&self) -> bool {
        matches!(self.opened, Opened::Present)
    }

    /// Brings the layer into the store.
    async fn run(self, sources: Sources<'_>, slots: &Semaphore, progress: &Progress) -> Result<(), Error> {
        let Self { descriptor, mut opened } = self;
        let (digest, size) = (&descriptor.digest, descriptor.size);
        loop {
            match opened {
                Opened::Present => return progress.enter(digest, State::Downloaded, size, size).await,
                Opened::Others => follow(sources, &descriptor, progress).await?,
                Opened::Mine(writer) => {
                    if slots.available_permits() == 0 {
                        progress.enter(digest, State::Waiting, 0, size).await?;
                    }
                    let _slot = slots.acquire().await.map_err(|_| Error::Cancelled)?;
                    fetch(sources, writer, &descriptor, progress).await?;
                }
            }
            opened = open(sources, &descriptor).await?;
        }
    }
}

/// Brings all layers into the store, `connections` at a time. The first failure ends it.
pub async fn run_all(
    sources: Sources<'_>,
    transfers: Vec<Transfer>,
    connections: usize,
    progress: &Progress,
) -> Result<(), Error> {
    let slots = Semaphore::new(connections.max(1));
    let running: FuturesUnordered<_> =
        transfers.into_iter().map(|transfer| transfer.run(sources, &slots, progress)).collect();
    running.try_collect().await
}

async fn open(sources: Sources<'_>, descriptor: &Descriptor) -> Result<Opened, Error> {
    let Sources { content, owner, .. } = sources;
    let reference = layer_ref(&descriptor.digest);
    let opened =
        Writer::open(content.peers(), owner, &reference, descriptor.size, Some(&descriptor.digest)).await;
    match opened {
        Ok(writer) => Ok(Opened::Mine(writer)),
        Err(status) if status.code() == Code::AlreadyExists => Ok(Opened::Present),
        Err(status) if status.code() == Code::Unavailable && content.is_locked(owner, &reference).await => {
            Ok(Opened::Others)
        }
        Err(status) => Err(Error::peer("content", "begin a layer")(status)),
    }
}

/// Watches a layer that another pull fetches, until it is there or nothing moves any more.
async fn follow(sources: Sources<'_>, descriptor: &Descriptor, progress: &Progress) -> Result<(), Error> {
    let (digest, size) = (&descriptor.digest, descriptor.size);
    let peers = sources.content.peers();
    let mut follower = match Follower::open(peers, sources.owner, &layer_ref(digest), digest, 200).await {
        Ok((follower, _)) => follower,
        Err(status) if status.code() == Code::NotFound => return Ok(()),
        Err(status) => return Err(Error::peer("content", "follow a layer")(status)),
    };
    progress.enter(digest, State::Downloading, 0, size).await?;
    loop {
        match tokio::time::timeout(PATIENCE, follower.next()).await {
            Ok(Ok(Followed::Available(offset))) => progress.count(digest, State::Downloading, offset, size),
            Ok(Ok(Followed::Committed { .. } | Followed::Aborted(_))) | Err(_) => return Ok(()),
            Ok(Err(status)) => return Err(Error::peer("content", "follow a layer")(status)),
        }
    }
}

/// Fetches what is missing of a layer, and commits it.
async fn fetch(
    sources: Sources<'_>,
    mut writer: Writer,
    descriptor: &Descriptor,
    progress: &Progress,
) -> Result<(), Error> {
    let (digest, size) = (&descriptor.digest, descriptor.size);
    if writer.offset() > size {
        writer.truncate().await.map_err(Error::peer("content", "begin a layer anew"))?;
    }
    let resumed = writer.offset() > 0;
    progress.enter(digest, State::Downloading, writer.offset(), size).await?;
    copy(sources, &mut writer, descriptor, progress).await?;
    failpoint!("images.pull.fetched");
    progress.enter(digest, State::Verifying, size, size).await?;
    let labels = HashMap::from([origin_label(sources.repository)]);
    match writer.commit(size, Some(digest), labels.clone()).await {
        Ok(_) => return Ok(()),
        Err(status) if status.code() == Code::AlreadyExists => return Ok(()),
        // What an earlier pull left may be what is wrong: once more, from the beginning.
        Err(status) if status.code() == Code::FailedPrecondition && resumed => {
            tracing::warn!(%digest, error = status.message(), "a resumed layer did not match its digest");
        }
        Err(status) => return Err(give_up(writer, digest, status).await),
    }
    writer.truncate().await.map_err(Error::peer("content", "begin a layer anew"))?;
    copy(sources, &mut writer, descriptor, progress).await?;
    match writer.commit(size, Some(digest), labels).await {
        Ok(_) => Ok(()),
        Err(status) if status.code() == Code::AlreadyExists => Ok(()),
        Err(status) => Err(give_up(writer, digest, status).await),
    }
}

/// Leaves nothing of bytes that are proved wrong.
async fn give_up(writer: Writer, digest: &Digest, status: tonic::Status) -> Error {
    if status.code() != Code::FailedPrecondition {
        return Error::peer("content", "commit a layer")(status);
    }
    if let Err(status) = writer.abort().await {
        tracing::warn!(%digest, error = status.message(), "a wrong layer could not be thrown away");
    }
    Error::WrongLayer { digest: digest.clone(), cause: status.message().to_owned() }
}

/// Throws away what has arrived of layers that are of no use, but for those that another pull is at.
///
/// The pull's own writers are gone; that content has noticed it is waited for. Failures are left to the ingests' expiry.
pub async fn discard(sources: Sources<'_>, layers: &[Descriptor]) {
    let discards = layers.iter().map(|layer| async {
        let deadline = Instant::now() + PATIENCE;
        while sources.content.has_ingest(sources.owner, &layer_ref(&layer.digest)).await {
            match open(sources, layer).await {
                Ok(Opened::Mine(writer)) => {
                    return writer.abort().await.map_err(Error::peer("content", "abort"));
                }
                Ok(Opened::Others) if Instant::now() < deadline => tokio::time::sleep(BETWEEN).await,
                Ok(Opened::Others | Opened::Present) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    });
    for result in futures::future::join_all(discards).await {
        if let Err(error) = result {
            tracing::warn!(%error, "what arrived of a layer stays until it expires");
        }
    }
}

async fn copy(
    sources: Sources<'_>,
    writer: &mut Writer,
    descriptor: &Descriptor,
    progress: &Progress,
) -> Result<(), Error> {
    let (digest, size) = (&descriptor.digest, descriptor.size);
    let mut body = sources.repository.blob(digest, size, writer.offset());
    let mut portion = Vec::new();
    let mut length = 0;
    let mut due = Instant::now() + PAUSE;
    loop {
        let piece = {
            let mut waited = |pause| progress.retrying(digest, pause);
            let mut next = std::pin::pin!(body.next_with(&mut waited));
            loop {
                tokio::select! {
                    piece = &mut next => break piece,
                    // A registry that pauses does not keep from the disk what it sent before.
                    () = tokio::time::sleep_until(due), if length > 0 => {
                        write(writer, digest, std::mem::take(&mut portion)).await?;
                        length = 0;
                    }
                }
            }
        };
        // What arrived before a failure is kept: the next pull goes on from there.
        let ended = !matches!(piece, Ok(Some(_)));
        if let Ok(Some(bytes)) = &piece {
            if length == 0 {
                due = Instant::now() + PAUSE;
            }
            length += bytes.len();
            portion.push(bytes.clone());
        }
        if length >= PORTION || (length > 0 && (ended || Instant::now() >= due)) {
            write(writer, digest, std::mem::take(&mut portion)).await?;
            length = 0;
            progress.count(digest, State::Downloading, writer.offset(), size);
        }
        if piece?.is_none() {
            return Ok(());
        }
    }
}

async fn write(writer: &mut Writer, digest: &Digest, portion: Vec<Bytes>) -> Result<(), Error> {
    let file = writer.file().try_clone().map_err(|source| local("write", digest, source))?;
    let start = writer.offset();
    let end = start + portion.iter().map(|bytes| bytes.len() as u64).sum::<u64>();
    blocking("write", digest, move || {
        let mut offset = start;
        for bytes in portion {
            file.write_all_at(&bytes, offset)?;
            offset += bytes.len() as u64;
        }
        Ok(())
    })
    .await?;
    writer.progress(end).await.map_err(Error::peer("content", "follow a layer"))
}

/// Says of each blob what it is uncompressed, once that is proved.
pub async fn label_diff_ids(
    sources: Sources<'_>,
    layers: &[Descriptor],
    diff_ids: &[DiffId],
) -> Result<(), Error> {
    let labelled: FuturesUnordered<_> = layers
        .iter()
        .zip(diff_ids)
        .map(|(layer, diff_id)| {
            let labels = HashMap::from([("containerd.io/uncompressed".to_owned(), diff_id.to_string())]);
            sources.content.label(sources.owner, &layer.digest, labels)
        })
        .collect();
    labelled.map(|result| result).try_collect().await
}
