//! Followers of ingests and blobs.

use std::fs::File;
use std::time::Duration;

use gantry_api::content::Committed;
use gantry_api::content::files::{self, Followed, Wanted};
use gantry_rpc::Code;
use gantry_types::Namespace;
use tokio::sync::watch;

use super::{Content, End, Ingest, State, opened};
use crate::Refused;

/// Follows a blob or an ingest.
#[derive(Debug)]
pub struct Follower {
    content: Content,
    source: Source,
    changes: watch::Receiver<u64>,
    begun_at: (u64, Option<u64>),
    told: Option<u64>,
}

#[derive(Debug, Clone)]
enum Source {
    Blob(Committed),
    Ingest { id: usize, generation: u32, bound: Option<u64> },
}

impl Follower {
    pub(super) async fn begin(
        content: &Content,
        namespace: &Namespace,
        wanted: &Wanted,
        wait: Duration,
    ) -> Result<(Self, File), Refused> {
        let mut changes = content.changes.subscribe();
        let found = async {
            loop {
                changes.borrow_and_update();
                if let Some(found) = content.read(|state| find(state, namespace, wanted)) {
                    return found;
                }
                changes.changed().await.expect("this fake is there");
            }
        };
        let (source, file, begun_at) = tokio::time::timeout(wait, found)
            .await
            .map_err(|_| Refused::new(Code::NotFound, format!("{wanted:?}"), "not found"))?;
        Ok((Self { content: content.clone(), source, changes, begun_at, told: None }, file))
    }
}

type Found = (Source, File, (u64, Option<u64>));

fn find(state: &State, namespace: &Namespace, wanted: &Wanted) -> Option<Found> {
    if let Some(info) = wanted.digest().and_then(|digest| state.info(namespace, digest).ok()) {
        let blob = Committed { digest: info.digest.clone(), size: info.size };
        return Some((Source::Blob(blob), opened(&state.files[&info.digest]), (info.size, Some(info.size))));
    }
    let id = *state.names.get(&(namespace.clone(), wanted.reference()?.clone()))?;
    let ingest = &state.ingests[id];
    let file = match (ingest.bound, &ingest.expected.digest) {
        (Some(_), Some(digest)) => state.files.get(digest)?,
        _ => &ingest.file,
    };
    let source = Source::Ingest { id, generation: ingest.generation, bound: ingest.bound };
    Some((source, opened(file), (ingest.offset(), ingest.expected.total)))
}

/// The end of an ingest, for a follower that opened it in that generation.
fn end(ingest: &Ingest, generation: u32, bound: Option<u64>) -> Option<Followed> {
    if ingest.generation != generation {
        return Some(Followed::Aborted("truncated".to_owned()));
    }
    match ingest.end.clone()? {
        End::Gone(reason) => Some(Followed::Aborted(reason.to_owned())),
        // The follower's file does not contain the whole blob.
        End::Committed(_) if bound.is_none() && ingest.bound.is_some() => {
            Some(Followed::Aborted("the blob came from elsewhere".to_owned()))
        }
        End::Committed(blob) => Some(Followed::Committed(blob)),
    }
}

impl files::Follower for Follower {
    type Error = Refused;

    fn begun_at(&self) -> (u64, Option<u64>) {
        self.begun_at
    }

    async fn next(&mut self) -> Result<Followed, Refused> {
        loop {
            self.changes.borrow_and_update();
            let (offset, end) = match self.source.clone() {
                Source::Blob(blob) => (blob.size, Some(Followed::Committed(blob))),
                Source::Ingest { id, generation, bound } => self.content.read(|state| {
                    let ingest = &state.ingests[id];
                    (bound.unwrap_or(ingest.written), end(ingest, generation, bound))
                }),
            };
            let aborted = matches!(end, Some(Followed::Aborted(_)));
            if self.told < Some(offset) && !aborted {
                self.told = Some(offset);
                return Ok(Followed::Available(offset));
            }
            if let Some(end) = end {
                return Ok(end);
            }
            self.changes.changed().await.expect("this fake is there");
        }
    }
}
