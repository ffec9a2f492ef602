//! Reading bytes while they arrive.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use gantry_api::content::Info;
use gantry_types::{Digest, Namespace};
use tokio::sync::watch;

use super::Store;
use crate::ingest::{Ingest, IngestKey, State};
use crate::{Error, Result, layout};

/// What a follower reads from.
#[derive(Debug)]
pub(crate) enum Followed {
    /// A committed blob.
    Blob { file: File, info: Info },
    /// An ingest in progress.
    Ingest { file: File, state: State, news: watch::Receiver<State> },
}

impl Store {
    /// Opens the blob, or the ingest under the key, whichever is there; waits for one of them to appear.
    pub(crate) async fn follow(
        &self,
        key: &IngestKey,
        digest: Option<&Digest>,
        wait: Duration,
    ) -> Result<Followed> {
        let mut arrivals = self.0.arrivals.subscribe();
        let found = async {
            loop {
                // Marked as seen first: what arrives from here on wakes the wait below.
                arrivals.borrow_and_update();
                if let Some(followed) = self.try_follow(key, digest)? {
                    return Ok(followed);
                }
                if arrivals.changed().await.is_err() {
                    return Err(key.not_found());
                }
            }
        };
        match tokio::time::timeout(wait, found).await {
            Ok(found) => found,
            Err(_) => Err(key.not_found()),
        }
    }

    fn try_follow(&self, key: &IngestKey, digest: Option<&Digest>) -> Result<Option<Followed>> {
        if let Some(digest) = digest
            && let Some(followed) = self.follow_blob(&key.namespace, digest)?
        {
            return Ok(Some(followed));
        }
        let Some(ingest) = self.ingest(key) else { return Ok(None) };
        self.follow_ingest(&ingest)
    }

    fn follow_blob(&self, namespace: &Namespace, digest: &Digest) -> Result<Option<Followed>> {
        match self.open_blob(namespace, digest) {
            Ok((file, info)) => Ok(Some(Followed::Blob { file, info })),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn follow_ingest(&self, ingest: &Arc<Ingest>) -> Result<Option<Followed>> {
        let news = ingest.watch();
        let state = ingest.state();
        let path = match (state.bound, &state.expected) {
            (Some(_), Some(digest)) => self.0.layout.blob(digest),
            _ => self.0.layout.data(&ingest.id),
        };
        match layout::open_read(&path) {
            Ok(file) => Ok(Some(Followed::Ingest { file, state, news })),
            // It ended between the look and the open; an end is an arrival or leads to one.
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
