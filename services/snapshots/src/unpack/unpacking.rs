//! Layers unpacked while they arrive.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use gantry_proto::gantry::snapshots::v1 as pb;
use gantry_rpc::{carry, status};
use tokio::task::{JoinError, JoinHandle};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::convert::{self, owner, scope};
use crate::driver::DEFAULT;
use crate::unpack::{Layer, Progress, Step, Tracker, Unpacker};

pub struct Server {
    unpacker: Unpacker,
}

impl Server {
    pub fn new(unpacker: Unpacker) -> Self {
        Self { unpacker }
    }
}

type ProgressStream = Pin<Box<dyn Stream<Item = Result<pb::UnpackProgress, Status>> + Send>>;

#[tonic::async_trait]
impl pb::unpacker_server::Unpacker for Server {
    type UnpackStream = ProgressStream;

    async fn unpack(&self, request: Request<pb::UnpackRequest>) -> Result<Response<ProgressStream>, Status> {
        let owner = owner(&request)?;
        let message = request.into_inner();
        let snapshotter = if message.snapshotter.is_empty() { DEFAULT } else { &message.snapshotter };
        let scope = scope(&owner, snapshotter);
        let layers = message.layers.into_iter().map(layer).collect::<Result<Vec<_>, _>>()?;

        let tracker = Arc::new(Tracker::default());
        let (unpacker, told) = (self.unpacker.clone(), tracker.clone());
        let work = async move { unpacker.unpack(owner, scope, layers, told).await.map_err(status) };
        let work = carry::start(work);
        Ok(Response::new(Box::pin(Answer { tracker, work, end: None })))
    }
}

/// The work's progress and end, for a client to fetch: one that does not holds up nothing. Dropping it gives up what
/// is not committed.
struct Answer {
    tracker: Arc<Tracker>,
    work: JoinHandle<Result<(), Status>>,
    /// Once the work has ended: its failure, until that was told.
    end: Option<Option<Status>>,
}

impl Stream for Answer {
    type Item = Result<pb::UnpackProgress, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // First the end, then the progress: what was set before the end is there by then.
        if self.end.is_none()
            && let Poll::Ready(joined) = Pin::new(&mut self.work).poll(context)
        {
            let cut = |error: JoinError| match error.is_panic() {
                true => Err(Status::internal("unpacking failed")),
                false => Err(Status::unavailable("service snapshots is ending")),
            };
            self.end = Some(joined.unwrap_or_else(cut).err());
        }
        if let Some(progress) = self.tracker.take(context.waker()) {
            return Poll::Ready(Some(Ok(convert_progress(progress))));
        }
        match &mut self.end {
            None => Poll::Pending,
            Some(failure) => Poll::Ready(failure.take().map(Err)),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.work.abort();
    }
}

fn layer(layer: pb::Layer) -> Result<Layer, Status> {
    let descriptor = convert::descriptor(layer.descriptor)?;
    let diff_id = layer
        .diff_id
        .parse()
        .map_err(|error: gantry_types::Error| Status::invalid_argument(error.to_string()))?;
    Ok(Layer { blob: descriptor.digest, size: descriptor.size, reference: layer.r#ref, diff_id })
}

fn convert_progress(progress: Progress) -> pb::UnpackProgress {
    use pb::unpack_progress::State;
    let state = match progress.step {
        Step::Waiting => State::Waiting,
        Step::Extracting => State::Extracting,
        Step::Extracted => State::Extracted,
        Step::Exists => State::Exists,
    };
    pb::UnpackProgress {
        layer: u32::try_from(progress.layer).unwrap_or(u32::MAX),
        state: state.into(),
        offset: i64::try_from(progress.offset).unwrap_or(i64::MAX),
        total: i64::try_from(progress.total).unwrap_or(i64::MAX),
        chain_id: progress.chain.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gantry_api::Peers;
    use gantry_api::events::Publisher;
    use gantry_proto::containerd::types::Descriptor;
    use gantry_proto::gantry::snapshots::v1::unpack_progress::State;
    use gantry_proto::gantry::snapshots::v1::unpacker_server::Unpacker as _;
    use gantry_rpc::context::with_namespace;
    use gantry_types::{ChainId, DiffId, Digest, Labels};
    use tokio_stream::StreamExt;

    use super::*;
    use crate::driver::Snapshot;
    use crate::layer::slots::Slots;
    use crate::record::{Kind, Scope};
    use crate::server::{Events, Leases};

    /// More than any queue on the way takes.
    const LAYERS: usize = 300;

    async fn told(answer: ProgressStream) -> Vec<(u32, State)> {
        let all = answer.map(|progress| progress.unwrap()).map(|progress| (progress.layer, progress.state()));
        tokio::time::timeout(Duration::from_secs(30), all.collect()).await.expect("the work goes on")
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_holds_up_no_other() {
        let base = tempfile::tempdir_in("/dev/shm").unwrap();
        let (store, _uncounted) = crate::app::open(base.path()).unwrap();
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
        let server = Server::new(Unpacker::new(store, peers, leases, events, Slots::default()));
        let layers = diff_ids.iter().map(|diff_id| pb::Layer {
            descriptor: Some(Descriptor { digest: diff_id.to_string(), ..Default::default() }),
            diff_id: diff_id.to_string(),
            ..Default::default()
        });
        let request = pb::UnpackRequest { snapshotter: String::new(), layers: layers.collect() };
        let ask = || with_namespace(request.clone(), &scope.namespace);

        let unread = server.unpack(ask()).await.unwrap().into_inner();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let read = told(server.unpack(ask()).await.unwrap().into_inner()).await;
        assert_eq!(read.iter().filter(|(_, state)| *state == State::Exists).count(), LAYERS);
        let late = told(unread).await;
        assert_eq!(late, (0..300).map(|layer| (layer, State::Exists)).collect::<Vec<_>>());
    }
}
