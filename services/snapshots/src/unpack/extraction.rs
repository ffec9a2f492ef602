//! One layer's bytes into a staged directory.

use std::sync::Arc;

use gantry_rooted::Root;
use tokio::sync::{oneshot, watch};

use super::follow::{End, follow};
use super::{Below, Step, TICK, Task};
use crate::driver::{Driver, Layers, Staging};
use crate::layer::blob::{Blob, BlobReader};
use crate::layer::slots::Slot;
use crate::layer::{Cancel, Extracted, Mode, extract};
use crate::store::blocking;
use crate::{Error, Result};

/// How often a layer may begin anew because its bytes turned out worthless.
const ATTEMPTS: usize = 10;

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
            if let Some((staging, extracted)) = self.once(mode, layers).await? {
                let layer = &self.task.layer;
                if extracted.diff_id != *layer.diff_id.digest() {
                    return Err(Error::WrongDiffId {
                        layer: layer.blob.clone(),
                        expected: layer.diff_id.clone(),
                        actual: extracted.diff_id,
                    });
                }
                return Ok((staging, extracted.implied));
            }
        }
        Err(Error::Invalid("its bytes were thrown away again and again while they arrived".to_owned()))
    }

    /// One attempt; `None` if the bytes were thrown away meanwhile.
    async fn once(&self, mode: Mode, layers: &[u64]) -> Result<Option<(Staging, Extracted)>> {
        let blob = Blob::new();
        let guard = GiveUp { cancel: Cancel::default(), blob: blob.clone() };
        let task = self.task;
        let extracting = async {
            let slot = task.unpacker.slots.arriving(&blob).await;
            let (staging, mounts) = blocking({
                let (driver, layers) = (self.driver.clone(), layers.to_vec());
                move || {
                    let staging = driver.layout().stage()?;
                    let mounts = match mode {
                        Mode::Overlay => None,
                        Mode::Merged => Some(driver.stage_on(&staging, &layers)?),
                    };
                    Ok((staging, mounts))
                }
            })
            .await?;
            work(slot, staging, mounts, mode, &blob, &guard.cancel)?.await.map_err(|_| Error::Cancelled)?
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
        let extracted = extracted?;
        if followed.is_none() {
            match following.await? {
                End::Committed => {}
                End::Aborted(_) => return Ok(None),
            }
        }
        Ok(Some(extracted))
    }
}

type Outcome = Result<(Staging, Extracted)>;

/// Extracts on a thread of its own: it may have to wait for bytes as long as a registry likes.
fn work(
    slot: Slot,
    staging: Staging,
    mounts: Option<Vec<gantry_mount::Mount>>,
    mode: Mode,
    blob: &Arc<Blob>,
    cancel: &Cancel,
) -> Result<oneshot::Receiver<Outcome>> {
    let (tell, told) = oneshot::channel();
    let bytes = BlobReader::new(blob.clone());
    let cancel = cancel.clone();
    std::thread::Builder::new()
        .name("unpack".into())
        .spawn(move || {
            let outcome = open(&staging, mounts).and_then(|root| extract(bytes, &root, mode, &cancel));
            drop(slot);
            // Given up: the staged directory is dropped here, when nothing writes into it any more.
            let _ = tell.send(outcome.map(|extracted| (staging, extracted)));
        })
        .map_err(|source| Error::Io { op: "start thread", path: "unpack".into(), source })?;
    Ok(told)
}

fn open(staging: &Staging, mounts: Option<Vec<gantry_mount::Mount>>) -> Result<Root> {
    Ok(match mounts {
        Some(mounts) => Root::from_fd(gantry_mount::open_detached(&mounts)?),
        None => Root::open_path(&staging.fs())?,
    })
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
