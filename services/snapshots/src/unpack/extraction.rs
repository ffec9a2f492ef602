//! One layer's bytes into a staged directory.

use std::sync::Arc;

use gantry_api::snapshots::Step;
use gantry_rooted::Root;
use tokio::sync::{oneshot, watch};

use super::follow::{End, follow};
use super::{Below, TICK, Task};
use crate::driver::{Driver, Layers, Staging};
use crate::layer::blob::{Blob, BlobReader};
use crate::layer::slots::Slot;
use crate::layer::{Cancel, Extracted, Mode, extract};
use crate::store::blocking;
use crate::{Error, Result};

/// How often a layer may begin anew because its bytes turned out worthless.
pub(super) const ATTEMPTS: usize = 10;

pub(super) struct Extraction<'t> {
    pub(super) task: &'t Task,
    pub(super) driver: Arc<dyn Driver>,
}

impl Extraction<'_> {
    /// Extracts the layer alone if the driver can, on those below it otherwise. Tells which directories it invented.
    pub(super) async fn run(&self, below: &mut watch::Receiver<Below>) -> Result<(Staging, Vec<Vec<u8>>)> {
        let (mode, layers) = match self.driver.capabilities().layers {
            Layers::Stacked => (Mode::Overlay, Vec::new()),
            Layers::Whole => (Mode::Merged, self.task.placed(below).await?),
        };
        match self.attempt(mode, &layers).await {
            Err(Error::NeedsLower(entry)) => {
                tracing::debug!(layer = %self.task.layer.blob, entry, "extracted again: it refers to a layer below");
                let layers = self.task.placed(below).await?;
                Ok((self.again(&layers).await?, Vec::new()))
            }
            answer => answer,
        }
    }

    /// Extracts the layer onto those below it.
    pub(super) async fn again(&self, layers: &[u64]) -> Result<Staging> {
        self.attempt(Mode::Merged, layers).await.map(|(staging, _)| staging)
    }

    async fn attempt(&self, mode: Mode, layers: &[u64]) -> Result<(Staging, Vec<Vec<u8>>)> {
        for _ in 0..ATTEMPTS {
            let staged = blocking({
                let (driver, layers) = (self.driver.clone(), layers.to_vec());
                move || {
                    let staging = driver.layout().stage()?;
                    let mounts = match mode {
                        Mode::Overlay => None,
                        Mode::Merged => Some(driver.stage_on(&staging, &layers)?),
                    };
                    Ok(Staged { staging, mounts })
                }
            });
            if let Some((staged, implied)) = once(self.task, mode, staged).await? {
                return Ok((staged.staging, implied));
            }
        }
        Err(worthless())
    }
}

/// Where a layer's entries are written.
pub(super) trait Place: Send + 'static {
    /// The root that they are written into. Blocks.
    fn open(&self) -> Result<Root>;

    /// What is to be done when all are. Blocks.
    fn finish(&self, _root: &Root) -> Result<()> {
        Ok(())
    }
}

/// A directory of ours, alone or on top of others.
struct Staged {
    staging: Staging,
    mounts: Option<Vec<gantry_mount::Mount>>,
}

impl Place for Staged {
    fn open(&self) -> Result<Root> {
        Ok(match &self.mounts {
            Some(mounts) => Root::from_fd(gantry_mount::open_detached(mounts)?),
            None => Root::open_path(&self.staging.fs())?,
        })
    }
}

/// The bytes of a layer were thrown away each time.
pub(super) fn worthless() -> Error {
    Error::Invalid("its bytes were thrown away again and again while they arrived".to_owned())
}

/// One attempt at a layer, whose place is got when it has begun to arrive; tells which directories it invented, when it has
/// proved the uncompressed bytes. `None` if the bytes were thrown away meanwhile.
pub(super) async fn once<P: Place>(
    task: &Task,
    mode: Mode,
    place: impl Future<Output = Result<P>>,
) -> Result<Option<(P, Vec<Vec<u8>>)>> {
    let blob = Blob::new();
    let guard = GiveUp { cancel: Cancel::default(), blob: blob.clone() };
    let extracting = async {
        let slot = task.unpacker.slots.arriving(&blob).await;
        let place = place.await?;
        work(slot, place, mode, &blob, &guard.cancel)?.await.map_err(|_| Error::Cancelled)?
    };
    tokio::pin!(extracting);
    let following = follow(&task.unpacker.peers, &task.owner, &task.layer, &blob);
    tokio::pin!(following);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut told = 0;
    let mut followed = None;
    let extracted = loop {
        tokio::select! {
            end = &mut following, if followed.is_none() => match end {
                Ok(End::Committed) => followed = Some(()),
                Ok(End::Aborted(reason)) => {
                    blob.fail(reason);
                    return Ok(None);
                }
                Err(error) => return Err(error),
            },
            done = &mut extracting => break done,
            _ = ticks.tick() => {
                let offset = blob.offset();
                if offset > told {
                    told = offset;
                    task.tell(Step::Extracting, offset);
                }
            }
        }
    };
    let (place, extracted) = extracted?;
    if followed.is_none() {
        match following.await? {
            End::Committed => {}
            End::Aborted(_) => return Ok(None),
        }
    }
    let layer = &task.layer;
    if extracted.diff_id != *layer.diff_id.digest() {
        return Err(Error::WrongDiffId {
            layer: layer.blob.clone(),
            expected: layer.diff_id.clone(),
            actual: extracted.diff_id,
        });
    }
    Ok(Some((place, extracted.implied)))
}

/// Extracts on a thread of its own: it may have to wait for bytes as long as a registry likes.
fn work<P: Place>(
    slot: Slot,
    place: P,
    mode: Mode,
    blob: &Arc<Blob>,
    cancel: &Cancel,
) -> Result<oneshot::Receiver<Result<(P, Extracted)>>> {
    let (tell, told) = oneshot::channel();
    let bytes = BlobReader::new(blob.clone());
    let cancel = cancel.clone();
    std::thread::Builder::new()
        .name("unpack".into())
        .spawn(move || {
            let outcome = place.open().and_then(|root| {
                let extracted = extract(bytes, &root, mode, &cancel)?;
                place.finish(&root)?;
                Ok(extracted)
            });
            drop(slot);
            // Given up: the place is dropped here, when nothing writes into it any more.
            let _ = tell.send(outcome.map(|extracted| (place, extracted)));
        })
        .map_err(|source| Error::Io { op: "start thread", path: "unpack".into(), source })?;
    Ok(told)
}

/// Ends the thread when the call is dropped.
struct GiveUp {
    cancel: Cancel,
    blob: Arc<Blob>,
}

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.cancel.cancel();
        self.blob.fail("given up");
    }
}
