//! How far a call is, for a caller that may read slowly or not at all: the latest of each layer.

use std::collections::BTreeMap;
use std::task::Waker;

use gantry_api::snapshots::Progress;
use parking_lot::Mutex;

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
        let mut state = self.0.lock();
        state.latest.insert(progress.layer, progress);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Takes what was set of a layer since it was taken; when there is nothing, `reader` is woken by the next.
    pub fn take(&self, reader: &Waker) -> Option<Progress> {
        let mut state = self.0.lock();
        let next = state.latest.pop_first();
        state.reader = next.is_none().then(|| reader.clone());
        next.map(|(_, progress)| progress)
    }
}
