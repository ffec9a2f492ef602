//! How far each layer is, as a stream of events in the order in which people expect them.
//!
//! ```text
//! Pulling → Waiting → Downloading… → Verifying → Downloaded → Extracting… → Complete
//!        ↘ Exists                 ↘ Retrying ↗
//! ```
//!
//! Layers are unpacked while they arrive; extraction is only spoken of once a layer is downloaded. Changes of state
//! are always delivered; counts within a state may be left out when the reader is slow.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use gantry_api::images::{LayerProgress, LayerState as State, PullEvent as Event};
use gantry_types::Digest;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::error::Error;

/// Counts within a state are told this often.
const INTERVAL: Duration = Duration::from_millis(100);

/// The sending end of a pull's events. A cheap clone.
#[derive(Clone, Debug)]
pub struct Progress {
    sender: mpsc::Sender<Event>,
    layers: Arc<Mutex<HashMap<Digest, Layer>>>,
}

#[derive(Clone, Copy, Debug)]
struct Layer {
    state: State,
    told: Instant,
    /// Its end was told, maybe before its download's.
    unpacked: bool,
}

impl Progress {
    /// A progress, and where its events come out.
    pub fn channel() -> (Self, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel(256);
        (Self { sender, layers: Arc::default() }, receiver)
    }

    /// Sends an event that must not be lost. Fails when the listener has gone.
    pub async fn tell(&self, event: Event) -> Result<(), Error> {
        self.sender.send(event).await.map_err(|_| Error::Cancelled)
    }

    /// Moves a layer to another state.
    pub async fn enter(&self, digest: &Digest, state: State, current: u64, total: u64) -> Result<(), Error> {
        for state in self.admit(digest, state) {
            let retry = Duration::ZERO;
            let digest = digest.clone();
            self.tell(Event::Layer(LayerProgress { digest, state, current, total, retry })).await?;
        }
        Ok(())
    }

    /// Says that a layer is left alone for a while.
    pub fn retrying(&self, digest: &Digest, retry: Duration) {
        if retry >= Duration::from_secs(1) {
            let (digest, state) = (digest.clone(), State::Retrying);
            let layer = LayerProgress { digest, state, current: 0, total: 0, retry };
            let _ = self.sender.try_send(Event::Layer(layer));
        }
    }

    /// Counts within a state; cheap enough for each chunk.
    pub fn count(&self, digest: &Digest, state: State, current: u64, total: u64) {
        {
            let mut layers = self.layers.lock();
            let Some(layer) = layers.get_mut(digest) else { return };
            if layer.state != state || layer.told.elapsed() < INTERVAL {
                return;
            }
            layer.told = Instant::now();
        }
        let (digest, retry) = (digest.clone(), Duration::ZERO);
        let _ = self.sender.try_send(Event::Layer(LayerProgress { digest, state, current, total, retry }));
    }

    /// The states that a layer enters now: none twice, none after the end, and no extraction before the download is
    /// done. An end that was told before that follows the download.
    fn admit(&self, digest: &Digest, state: State) -> Vec<State> {
        let mut layers = self.layers.lock();
        let told = Instant::now().checked_sub(INTERVAL).unwrap_or_else(Instant::now);
        let Some(layer) = layers.get_mut(digest) else {
            layers.insert(digest.clone(), Layer { state, told, unpacked: false });
            return vec![state];
        };
        let allowed = match (layer.state, state) {
            (State::Complete | State::Exists, _) => false,
            (State::Downloaded, State::Extracting | State::Complete)
            | (State::Extracting, State::Complete) => true,
            (State::Downloaded | State::Extracting, _) | (_, State::Extracting | State::Complete) => false,
            (from, to) => from != to,
        };
        layer.unpacked |= state == State::Complete;
        let mut entered = if allowed { vec![state] } else { Vec::new() };
        if entered == [State::Downloaded] && layer.unpacked {
            entered.push(State::Complete);
        }
        if let Some(last) = entered.last() {
            (layer.state, layer.told) = (*last, told);
        }
        entered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn extraction_is_not_told_before_the_download() {
        let (progress, mut events) = Progress::channel();
        let digest = Digest::sha256(b"x");
        for state in [
            State::Pulling,
            State::Downloading,
            State::Extracting,
            State::Downloading,
            State::Downloaded,
            State::Extracting,
            State::Downloading,
            State::Complete,
            State::Exists,
        ] {
            progress.enter(&digest, state, 0, 0).await.expect("listening");
        }
        drop(progress);
        let mut told = Vec::new();
        while let Some(Event::Layer(LayerProgress { state, .. })) = events.recv().await {
            told.push(state);
        }
        assert_eq!(
            told,
            [State::Pulling, State::Downloading, State::Downloaded, State::Extracting, State::Complete]
        );
    }

    #[tokio::test]
    async fn an_end_that_comes_early_follows_the_download() {
        let (progress, mut events) = Progress::channel();
        let digest = Digest::sha256(b"x");
        for state in [State::Downloading, State::Extracting, State::Complete, State::Downloaded] {
            progress.enter(&digest, state, 0, 0).await.expect("listening");
        }
        drop(progress);
        let mut told = Vec::new();
        while let Some(Event::Layer(LayerProgress { state, .. })) = events.recv().await {
            told.push(state);
        }
        assert_eq!(told, [State::Downloading, State::Downloaded, State::Complete]);
    }

    #[tokio::test]
    async fn counts_never_block() {
        let (progress, _events) = Progress::channel();
        let digest = Digest::sha256(b"x");
        progress.enter(&digest, State::Downloading, 0, 0).await.expect("listening");
        for current in 0..10_000 {
            progress.count(&digest, State::Downloading, current, 10_000);
        }
    }
}
