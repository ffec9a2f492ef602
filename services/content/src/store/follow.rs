//! Reading bytes while they arrive.

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_api::content::files::{self, Followed, Wanted};
use gantry_api::content::{Committed, Info};
use gantry_types::{Digest, Namespace};
use tokio::sync::watch;

use super::Store;
use crate::ingest::{Fate, Ingest, IngestKey, State};
use crate::{Error, Result, layout};

/// Tells how a blob's bytes arrive.
#[derive(Debug)]
pub struct Follower(Source);

#[derive(Debug)]
enum Source {
    /// A committed blob, of which so much is still to be told.
    Blob { info: Info, to_tell: Vec<Followed> },
    /// An ingest in progress: as it was opened, how it changes, and the offset that was told last.
    Ingest { opened: Box<State>, news: watch::Receiver<State>, told: Option<u64> },
}

impl Store {
    /// Opens the blob, or the ingest under the key, whichever is there; waits for one of them to appear.
    pub(crate) async fn follow(
        &self,
        namespace: &Namespace,
        wanted: &Wanted,
        wait: Duration,
    ) -> Result<(Follower, File)> {
        let mut arrivals = self.0.arrivals.subscribe();
        let begun = Instant::now();
        loop {
            // Marked as seen first: what arrives from here on wakes the wait below.
            arrivals.borrow_and_update();
            // The wait is for what is not there: what is there may take its time to come from another store.
            if let Some(followed) = self.try_follow(namespace, wanted).await? {
                return Ok(followed);
            }
            let left = wait.saturating_sub(begun.elapsed());
            if !matches!(tokio::time::timeout(left, arrivals.changed()).await, Ok(Ok(()))) {
                return Err(missing(namespace, wanted));
            }
        }
    }

    async fn try_follow(&self, namespace: &Namespace, wanted: &Wanted) -> Result<Option<(Follower, File)>> {
        if let Some(digest) = wanted.digest()
            && let Some(followed) = self.follow_blob(namespace, digest).await?
        {
            return Ok(Some(followed));
        }
        match wanted.reference().and_then(|name| self.ingest(&IngestKey::of(namespace, name))) {
            Some(ingest) => self.follow_ingest(&ingest).await,
            None => Ok(None),
        }
    }

    async fn follow_blob(&self, namespace: &Namespace, digest: &Digest) -> Result<Option<(Follower, File)>> {
        match self.open_blob(namespace, digest).await {
            Ok((file, info)) => {
                let blob = Committed { digest: info.digest.clone(), size: info.size };
                // The last is told first.
                let to_tell = vec![Followed::Committed(blob), Followed::Available(info.size)];
                Ok(Some((Follower(Source::Blob { info, to_tell }), file)))
            }
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn follow_ingest(&self, ingest: &Arc<Ingest>) -> Result<Option<(Follower, File)>> {
        let news = ingest.watch();
        let state = ingest.state();
        let opened = match (state.bound, &state.expected) {
            (Some(_), Some(digest)) => self.lend(digest).await,
            _ => layout::open_read(&self.0.layout.data(&ingest.id)),
        };
        match opened {
            Ok(file) => {
                let source = Source::Ingest { opened: Box::new(state), news, told: None };
                Ok(Some((Follower(source), file)))
            }
            // It ended between the look and the open; an end is an arrival or leads to one.
            Err(error) if error.is_missing() || matches!(error, Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The error for a follower whose bytes are not there, by the name that it knows them by.
fn missing(namespace: &Namespace, wanted: &Wanted) -> Error {
    match wanted {
        Wanted::Blob(digest) => Error::NotFound(digest.clone()),
        Wanted::Ingest(reference) | Wanted::Either(reference, _) => {
            IngestKey::of(namespace, reference).not_found()
        }
    }
}

impl files::Follower for Follower {
    type Error = Error;

    fn begun_at(&self) -> (u64, Option<u64>) {
        match &self.0 {
            Source::Blob { info, .. } => (info.size, Some(info.size)),
            Source::Ingest { opened, .. } => (opened.offset(), Some(opened.total).filter(|total| *total > 0)),
        }
    }

    async fn next(&mut self) -> Result<Followed> {
        let (opened, news, told) = match &mut self.0 {
            Source::Blob { info, to_tell } => {
                return to_tell.pop().ok_or_else(|| Error::NotFound(info.digest.clone()));
            }
            Source::Ingest { opened, news, told } => (opened, news, told),
        };
        loop {
            let state = news.borrow_and_update().clone();
            let offset = available(opened, &state);
            let end = end(opened, &state, offset);
            match end {
                Some(Followed::Committed(blob)) if *told < Some(offset) => {
                    *told = Some(blob.size.max(offset));
                    // It is told of the end when it asks again.
                    news.mark_changed();
                    return Ok(Followed::Available(blob.size));
                }
                Some(end) => return Ok(end),
                None if *told < Some(offset) => {
                    *told = Some(offset);
                    return Ok(Followed::Available(offset));
                }
                None => {}
            }
            if news.changed().await.is_err() {
                return Ok(Followed::Aborted("the store is ending".to_owned()));
            }
        }
    }
}

/// The bytes that a follower which opened the ingest in that state can read: the blob's, if the ingest was bound, else the
/// file's.
fn available(opened: &State, now: &State) -> u64 {
    opened.bound.unwrap_or(now.written)
}

fn end(opened: &State, now: &State, offset: u64) -> Option<Followed> {
    let aborted = |reason: &str| Some(Followed::Aborted(reason.to_owned()));
    if now.generation != opened.generation {
        return aborted("truncated");
    }
    match &now.fate {
        Fate::New | Fate::Live => None,
        // The blob came from elsewhere, so the file that the follower has open is not all of it.
        Fate::Committed { size, .. } if opened.bound.is_none() && now.bound.is_some() && offset != *size => {
            aborted("the blob came from elsewhere: follow again")
        }
        Fate::Committed { digest, size } => {
            Some(Followed::Committed(Committed { digest: digest.clone(), size: *size }))
        }
        Fate::Gone(reason) => aborted(reason),
    }
}
