//! Layers on their way from the registry into content, and followed into snapshots.
//!
//! Every layer's ingest is opened first, so that the unpacker finds it; then they are fetched, some at a time.
//! A layer that another pull has open is not fetched but followed; when that pull goes away, it is taken over.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt, TryStreamExt};
use gantry_api::content::client::Filler;
use gantry_api::content::files::{Filler as _, Followed, Follower as _, Wanted};
use gantry_api::content::{Commit, Expected};
use gantry_failpoint::failpoint;
use gantry_rpc::{Code, Coded, chain};
use gantry_types::{Descriptor, DiffId, Digest, Labels};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::plan::{Sources, origin_label};
use crate::content::{Opened, blocking, part_ref};
use crate::error::Error;
use crate::progress::{Progress, State};

/// A layer, and how it stands at the beginning.
#[derive(Debug)]
pub struct Transfer {
    descriptor: Descriptor,
    opened: Opened,
}

/// Bytes are written, and told of, in portions of this size.
const PORTION: usize = 1 << 20;
/// Smaller portions are written after that long: what is only in memory is lost with the process.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a follower hears nothing before it looks whether the writer is gone.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a layer that another pull has may be on its way from an ingest to a blob.
const APPEARANCE: Duration = Duration::from_millis(200);
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
                Opened::Ours(filler, file) => {
                    if slots.available_permits() == 0 {
                        progress.enter(digest, State::Waiting, 0, size).await?;
                    }
                    let _slot = slots.acquire().await.map_err(|_| Error::Cancelled)?;
                    fetch(sources, *filler, file, &descriptor, progress).await?;
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
    let reference = part_ref("layer", &descriptor.digest);
    sources.content.fill(sources.owner, &reference, whole(descriptor)).await
}

/// What the bytes of a layer must be.
fn whole(descriptor: &Descriptor) -> Expected {
    Expected { total: Some(descriptor.size), digest: Some(descriptor.digest.clone()) }
}

/// Watches a layer that another pull fetches, until it is there or nothing moves any more.
async fn follow(sources: Sources<'_>, descriptor: &Descriptor, progress: &Progress) -> Result<(), Error> {
    let (digest, size) = (&descriptor.digest, descriptor.size);
    let namespace = &sources.owner.namespace;
    let wanted = Wanted::Either(part_ref("layer", digest), digest.clone());
    let Some(mut follower) = sources.content.follow(namespace, &wanted, APPEARANCE).await? else {
        return Ok(());
    };
    progress.enter(digest, State::Downloading, 0, size).await?;
    loop {
        match tokio::time::timeout(PATIENCE, follower.next()).await {
            Ok(news) => match news? {
                Followed::Available(offset) => progress.count(digest, State::Downloading, offset, size),
                Followed::Committed(_) | Followed::Aborted(_) => return Ok(()),
            },
            Err(_) => return Ok(()),
        }
    }
}

/// Fetches what is missing of a layer, and commits it. Bytes that prove wrong are thrown away; where some of them were
/// left by an earlier pull this is no failure, as the layer can be fetched anew.
async fn fetch(
    sources: Sources<'_>,
    mut filler: Filler,
    file: File,
    descriptor: &Descriptor,
    progress: &Progress,
) -> Result<(), Error> {
    let (digest, size) = (&descriptor.digest, descriptor.size);
    let mut offset = filler.extent().0;
    if offset > size {
        filler.truncate().await?;
        offset = 0;
    }
    progress.enter(digest, State::Downloading, offset, size).await?;
    copy(sources, &mut filler, file, offset, descriptor, progress).await?;
    failpoint!("images.pull.fetched");
    progress.enter(digest, State::Verifying, size, size).await?;
    let labels = Labels::from([origin_label(sources.repository)]);
    match filler.commit(Commit { expected: whole(descriptor), labels }).await {
        Ok(_) => Ok(()),
        Err(failure) if failure.code() == Code::AlreadyExists => Ok(()),
        Err(failure) if failure.code() == Code::FailedPrecondition => {
            let thrown = filler.abort().await;
            let error = failure.status.message();
            // What an earlier pull left may be what is wrong: once more, from the beginning.
            if offset > 0 && thrown.is_ok() {
                tracing::warn!(%digest, error, "a resumed layer did not match its digest");
                return Ok(());
            }
            if let Err(error) = thrown {
                tracing::warn!(%digest, error = %chain(&error), "a wrong layer could not be thrown away");
            }
            Err(Error::WrongLayer { digest: digest.clone(), cause: error.to_owned() })
        }
        Err(failure) => Err(failure.into()),
    }
}

/// Throws away what has arrived of layers that are of no use, but for those that another pull is at.
///
/// The pull's own writers are gone; that content has noticed it is waited for. Failures are left to the ingests' expiry.
pub async fn discard(sources: Sources<'_>, layers: &[Descriptor]) {
    let discards = layers.iter().map(|layer| async {
        let deadline = Instant::now() + PATIENCE;
        let reference = part_ref("layer", &layer.digest);
        while sources.content.has_ingest(&sources.owner.namespace, &reference).await {
            match open(sources, layer).await {
                Ok(Opened::Ours(mut filler, _)) => return filler.abort().await.map_err(Error::from),
                Ok(Opened::Others) if Instant::now() < deadline => tokio::time::sleep(BETWEEN).await,
                Ok(Opened::Others | Opened::Present) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    });
    for result in futures::future::join_all(discards).await {
        if let Err(error) = result {
            tracing::warn!(error = %chain(&error), "what arrived of a layer stays until it expires");
        }
    }
}

async fn copy(
    sources: Sources<'_>,
    filler: &mut Filler,
    file: File,
    mut offset: u64,
    descriptor: &Descriptor,
    progress: &Progress,
) -> Result<(), Error> {
    let (digest, size) = (&descriptor.digest, descriptor.size);
    let file = Arc::new(file);
    let mut body = sources.repository.blob(digest, size, offset);
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
                        offset = write(filler, &file, offset, digest, std::mem::take(&mut portion)).await?;
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
            offset = write(filler, &file, offset, digest, std::mem::take(&mut portion)).await?;
            length = 0;
            progress.count(digest, State::Downloading, offset, size);
        }
        if piece?.is_none() {
            return Ok(());
        }
    }
}

/// Writes a portion at `start`, and tells where it ends.
async fn write(
    filler: &mut Filler,
    file: &Arc<File>,
    start: u64,
    digest: &Digest,
    portion: Vec<Bytes>,
) -> Result<u64, Error> {
    let file = Arc::clone(file);
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
    filler.progress(end).await?;
    Ok(end)
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
            let labels = Labels::from([("containerd.io/uncompressed".to_owned(), diff_id.to_string())]);
            sources.content.label(&sources.owner.namespace, &layer.digest, labels)
        })
        .collect();
    labelled.map(|result| result).try_collect().await
}
