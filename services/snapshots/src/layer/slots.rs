//! How many layers are extracted at once.
//!
//! Each takes two threads, some megabytes of buffers and, in the worst case, the largest window that a compressed
//! stream may ask for: an image of hundreds of layers must not take that hundreds of times. A layer with a slot waits
//! for nothing but the bytes of its own blob, never for another layer, so slots cannot make layers wait for each other
//! in a circle. They are given in the order in which they are asked for.
//!
//! A registry may send as slowly as it likes. So a layer asks only when it has begun to arrive, and those that still
//! arrive never get all slots: what is here whole is extracted however slow other registries are.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::blob::{Blob, Reached};

/// The slots of a service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Slots {
    all: Arc<Semaphore>,
    /// Taken besides, and before, by layers that still arrive: fewer than there are of all.
    arriving: Arc<Semaphore>,
}

/// A layer may be extracted until this is dropped.
#[derive(Debug)]
pub struct Slot {
    _one_of_all: OwnedSemaphorePermit,
    _arriving: Option<OwnedSemaphorePermit>,
}

/// As many as one machine needs, however few processors it has: some layers wait for bytes while others are written.
const FEWEST: usize = 4;

impl Default for Slots {
    fn default() -> Self {
        Self::new(
            std::thread::available_parallelism().map_or(FEWEST, |processors| processors.get().max(FEWEST)),
        )
    }
}

impl Slots {
    fn new(count: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(count)),
            arriving: Arc::new(Semaphore::new(count - count / FEWEST)),
        }
    }

    /// Waits for a slot for a layer that is here.
    pub async fn whole(&self) -> Slot {
        Slot { _one_of_all: taken(&self.all).await, _arriving: None }
    }

    /// Waits until a layer has begun to arrive, and for a slot.
    pub async fn arriving(&self, blob: &Blob) -> Slot {
        let while_it_arrives = async {
            blob.reaches(Reached::Begun).await;
            let arriving = taken(&self.arriving).await;
            Slot { _one_of_all: taken(&self.all).await, _arriving: Some(arriving) }
        };
        let when_it_is_here = async {
            blob.reaches(Reached::Whole).await;
            self.whole().await
        };
        tokio::select! {
            biased;
            slot = when_it_is_here => slot,
            slot = while_it_arrives => slot,
        }
    }
}

async fn taken(slots: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    slots.clone().acquire_owned().await.expect("slots are never closed")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn at_once<T>(wanted: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(Duration::from_millis(20), wanted).await.ok()
    }

    #[tokio::test]
    async fn no_more_layers_are_extracted_at_once_than_there_are_slots() {
        let slots = Slots::new(4);
        let mut taken = Vec::new();
        while let Some(slot) = at_once(slots.whole()).await {
            taken.push(slot);
        }
        assert_eq!(taken.len(), 4);
        taken.pop();
        assert!(at_once(slots.whole()).await.is_some());
    }

    #[tokio::test]
    async fn layers_that_arrive_slowly_leave_a_slot_to_those_that_are_here() {
        let slots = Slots::new(4);
        let unborn = Blob::new();
        assert!(at_once(slots.arriving(&unborn)).await.is_none());
        let slow: Vec<_> = (0..4).map(|_| Blob::new()).collect();
        let mut taken = Vec::new();
        for blob in &slow {
            blob.advance(1);
            taken.extend(at_once(slots.arriving(blob)).await);
        }
        assert_eq!(taken.len(), 3);
        let (last, waiting) = (slow[3].clone(), slots.clone());
        let waiting = tokio::spawn(async move { waiting.arriving(&last).await });
        assert!(at_once(slots.whole()).await.is_some());
        slow[3].commit(1);
        let slot = tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
        assert!(slot._arriving.is_none());
    }
}
