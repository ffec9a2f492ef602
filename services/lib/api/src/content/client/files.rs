//! Files through content's data socket.

use std::fs::File;
use std::time::Duration;

use gantry_types::{Digest, Namespace};
use tonic::Status;

use super::Client;
use crate::Failure;
use crate::call::Caller;
use crate::content::files::{self, Files, Followed, Wanted};
use crate::content::{Commit, Committed, Expected, IngestRef, Owner};
use crate::ingest;
use crate::wire;

const FILL: &str = "take an ingest's bytes";
const FOLLOW: &str = "tell how bytes arrive";

/// The writer of an ingest, while the connection lasts and the service shows that it is alive.
#[derive(Debug)]
pub struct Filler {
    caller: Caller,
    writer: ingest::Writer,
    total: Option<u64>,
}

/// The follower of an ingest, while the connection lasts. Waiting for bytes has no limit; the connection ends when the
/// service does, or does not show that it is alive.
#[derive(Debug)]
pub struct Follower {
    caller: Caller,
    follower: ingest::Follower,
}

impl Files for Client {
    type Filler = Filler;
    type Follower = Follower;

    async fn open_blob(&self, namespace: &Namespace, digest: &Digest) -> Result<(File, u64), Failure> {
        self.caller.hear("open a blob", ingest::open_blob(&self.peers, namespace, digest)).await
    }

    async fn fill(
        &self,
        owner: &Owner,
        reference: &IngestRef,
        expected: Expected,
    ) -> Result<(Filler, File), Failure> {
        let caller = self.caller;
        let total = expected.total.unwrap_or(0);
        let opening =
            ingest::Writer::open(&self.peers, owner, reference.as_str(), total, expected.digest.as_ref());
        let writer = caller.hear(FILL, opening).await?;
        let file = writer.file().try_clone();
        let file =
            file.map_err(|error| caller.failed(FILL, Status::resource_exhausted(error.to_string())))?;
        Ok((Filler { caller, writer, total: expected.total }, file))
    }

    async fn follow(
        &self,
        namespace: &Namespace,
        wanted: &Wanted,
        wait: Duration,
    ) -> Result<(Follower, File), Failure> {
        let caller = self.caller;
        let (follower, file) =
            caller.hear(FOLLOW, ingest::Follower::begin(&self.peers, namespace, wanted, wait)).await?;
        Ok((Follower { caller, follower }, file))
    }
}

impl files::Filler for Filler {
    type Error = Failure;

    fn extent(&self) -> (u64, Option<u64>) {
        (self.writer.offset(), self.total)
    }

    async fn progress(&mut self, offset: u64) -> Result<(), Failure> {
        self.caller.hear(FILL, self.writer.progress(offset)).await
    }

    async fn truncate(&mut self) -> Result<(), Failure> {
        self.caller.hear(FILL, self.writer.truncate()).await
    }

    async fn commit(&mut self, commit: Commit) -> Result<Committed, Failure> {
        const CALL: &str = "commit an ingest";
        let Commit { expected, labels } = commit;
        let size = expected.total.unwrap_or(0);
        let committing = self.writer.commit(size, expected.digest.as_ref(), labels.into());
        let blob = self.caller.hear(CALL, committing).await?;
        let garbled = self.caller.garbled(CALL);
        let parsed = wire::digest(&blob.digest)
            .and_then(|digest| Ok(Committed { digest, size: wire::number("size", blob.size)? }));
        parsed.map_err(garbled)
    }

    async fn abort(&mut self) -> Result<(), Failure> {
        self.caller.hear("abort an ingest", self.writer.end()).await
    }
}

impl files::Follower for Follower {
    type Error = Failure;

    fn begun_at(&self) -> (u64, Option<u64>) {
        self.follower.begun_at()
    }

    async fn next(&mut self) -> Result<Followed, Failure> {
        let caller = self.caller;
        let news = self.follower.next().await.map_err(|status| caller.failed(FOLLOW, status))?;
        Ok(match news {
            ingest::Followed::Available(offset) => Followed::Available(offset),
            ingest::Followed::Committed { digest, size } => {
                let digest = wire::digest(&digest).map_err(caller.garbled(FOLLOW))?;
                Followed::Committed(Committed { digest, size })
            }
            ingest::Followed::Aborted(reason) => Followed::Aborted(reason),
        })
    }
}
