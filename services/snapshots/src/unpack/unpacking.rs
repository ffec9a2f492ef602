//! A stack of layers on its way.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use gantry_api::Promise;
use gantry_api::snapshots::{self, Layer, Owner, Progress, Unpack};
use gantry_rpc::carry;
use tokio::task::{JoinError, JoinHandle};

use super::Unpacker;
use super::progress::Tracker;
use crate::driver::DEFAULT;
use crate::record::Scope;
use crate::{Error, Result};

/// The work's progress and end, for a caller to fetch: one that does not holds up nothing. Dropping it gives up what
/// is not committed.
#[derive(Debug)]
pub struct Unpacking {
    tracker: Arc<Tracker>,
    work: JoinHandle<Result<()>>,
    /// Once the work has ended: its failure, until that was told.
    end: Option<Option<Error>>,
}

impl Promise for Unpacker {
    type Error = Error;
}

impl Unpack for Unpacker {
    type Unpacking = Unpacking;

    async fn unpack(
        &self,
        owner: &Owner,
        snapshotter: Option<&str>,
        layers: Vec<Layer>,
    ) -> Result<Unpacking> {
        let snapshotter = snapshotter.unwrap_or(DEFAULT).to_owned();
        let scope = Scope { namespace: owner.namespace.clone(), snapshotter };
        let tracker = Arc::new(Tracker::default());
        let (unpacker, owner, told) = (self.clone(), owner.clone(), tracker.clone());
        let work = carry::start(async move { unpacker.all(owner, scope, layers, told).await });
        Ok(Unpacking { tracker, work, end: None })
    }
}

impl Unpacking {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Progress>>> {
        // First the end, then the progress: what was set before the end is there by then.
        if self.end.is_none()
            && let Poll::Ready(joined) = Pin::new(&mut self.work).poll(context)
        {
            let cut = |error: JoinError| match error.is_panic() {
                true => std::panic::resume_unwind(error.into_panic()),
                false => Err(Error::Cancelled),
            };
            self.end = Some(joined.unwrap_or_else(cut).err());
        }
        if let Some(progress) = self.tracker.take(context.waker()) {
            return Poll::Ready(Ok(Some(progress)));
        }
        match &mut self.end {
            None => Poll::Pending,
            Some(failure) => Poll::Ready(failure.take().map_or(Ok(None), Err)),
        }
    }
}

impl snapshots::Unpacking for Unpacking {
    type Error = Error;

    async fn next(&mut self) -> Result<Option<Progress>> {
        poll_fn(|context| self.poll(context)).await
    }
}

impl Drop for Unpacking {
    fn drop(&mut self) {
        self.work.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gantry_api::Peers;
    use gantry_api::events::Publisher;
    use gantry_api::snapshots::{Step, Unpacking as _};
    use gantry_types::{ChainId, DiffId, Digest, Labels};

    use super::*;
    use crate::driver::Snapshot;
    use crate::layer::slots::Slots;
    use crate::record::{Kind, Scope};
    use crate::server::{Events, Leases};

    /// More than any queue on the way takes.
    const LAYERS: usize = 300;

    async fn told(mut unpacking: Unpacking) -> Vec<(usize, Step)> {
        let all = async {
            let mut told = Vec::new();
            while let Some(progress) = unpacking.next().await.unwrap() {
                told.push((progress.layer, progress.step));
            }
            told
        };
        tokio::time::timeout(Duration::from_secs(30), all).await.expect("the work goes on")
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_holds_up_no_other() {
        let base = tempfile::tempdir_in("/dev/shm").unwrap();
        let (store, _uncounted) = crate::app::open(base.path(), &Default::default()).unwrap();
        let scope = Scope { namespace: "test".parse().unwrap(), snapshotter: DEFAULT.into() };
        let diff_ids: Vec<DiffId> =
            (0..LAYERS).map(|n| DiffId::new(Digest::sha256(n.to_string().as_bytes()))).collect();
        let mut parent = String::new();
        for chain in ChainId::all(&diff_ids) {
            let id = store.next_id();
            let layer = Snapshot { id: id.get(), kind: Kind::Committed, layers: &[] };
            store.driver(DEFAULT).unwrap().make(layer).unwrap();
            let name = chain.to_string();
            assert!(store.commit_unpacked(&scope, &name, id.get(), &parent, Labels::new()).await.unwrap());
            parent = name;
        }
        let peers = Peers::new(base.path());
        let (leases, events) = (Leases::new(peers.clone()), Events::new(Publisher::new(&peers).0));
        let unpacker = Unpacker::new(store, peers, leases, events, Slots::default());
        let layers: Vec<Layer> = diff_ids
            .iter()
            .map(|diff_id| Layer {
                blob: diff_id.digest().clone(),
                size: 0,
                reference: None,
                diff_id: diff_id.clone(),
            })
            .collect();
        let owner = Owner::of(&scope.namespace);
        let begin = || unpacker.unpack(&owner, None, layers.clone());

        let unread = begin().await.unwrap();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let read = told(begin().await.unwrap()).await;
        assert_eq!(read.iter().filter(|(_, step)| *step == Step::Exists).count(), LAYERS);
        let late = told(unread).await;
        assert_eq!(late, (0..LAYERS).map(|layer| (layer, Step::Exists)).collect::<Vec<_>>());
    }
}
