//! What a call has to tell, for a caller that may read slowly or not at all: the latest of each layer.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::task::Waker;

use super::Progress;

/// The latest progress of each layer that was not read yet. Telling never waits.
#[derive(Debug, Default)]
pub struct News(
    // Held for an edit only.
    Mutex<State>,
);

#[derive(Debug, Default)]
struct State {
    latest: BTreeMap<usize, Progress>,
    reader: Option<Waker>,
}

impl News {
    /// Tells how far a layer is, in place of what was told of it before.
    pub(super) fn tell(&self, progress: Progress) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.latest.insert(progress.layer, progress);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Takes a layer's news; when there are none, `reader` is woken by the next.
    pub fn take(&self, reader: &Waker) -> Option<Progress> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let news = state.latest.pop_first();
        state.reader = news.is_none().then(|| reader.clone());
        news.map(|(_, progress)| progress)
    }
}
