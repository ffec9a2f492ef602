//! How far a call is, for a caller that may read slowly or not at all: the latest of each layer.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::task::Waker;

use gantry_types::ChainId;

/// What a call is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The layer's place in the call.
    pub layer: usize,
    /// How far it is.
    pub step: Step,
    /// Compressed bytes read.
    pub offset: u64,
    /// Compressed bytes in all.
    pub total: u64,
    /// The layer's chain id.
    pub chain: ChainId,
}

/// How far a layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Its bytes have not begun to arrive, or another call is at it.
    Waiting,
    /// Bytes are being unpacked.
    Extracting,
    /// It is committed.
    Extracted,
    /// It was there.
    Exists,
}

/// The latest progress of each layer that was not read yet. Setting never waits.
#[derive(Debug, Default)]
pub struct Tracker(
    // Held for an edit only.
    Mutex<State>,
);

#[derive(Debug, Default)]
struct State {
    latest: BTreeMap<usize, Progress>,
    reader: Option<Waker>,
}

impl Tracker {
    /// Sets how far a layer is.
    pub(super) fn set(&self, progress: Progress) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.latest.insert(progress.layer, progress);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Takes what was set of a layer since it was taken; when there is nothing, `reader` is woken by the next.
    pub fn take(&self, reader: &Waker) -> Option<Progress> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = state.latest.pop_first();
        state.reader = next.is_none().then(|| reader.clone());
        next.map(|(_, progress)| progress)
    }
}
