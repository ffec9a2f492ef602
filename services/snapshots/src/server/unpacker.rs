//! Layers unpacked while they arrive.

use std::pin::Pin;

use gantry_proto::gantry::snapshots::v1 as pb;
use gantry_rpc::status;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use super::convert::{self, owner, scope};
use crate::driver::DEFAULT;
use crate::unpack::{Layer, Progress, Step, Unpacker};

/// Messages that a slow client may have waiting.
const QUEUE: usize = 64;

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

        let (client, answer) = mpsc::channel(QUEUE);
        let (progress, mut told) = mpsc::channel(QUEUE);
        let unpacker = self.unpacker.clone();
        let work = async move {
            let work = unpacker.unpack(owner, scope, layers, progress);
            tokio::pin!(work);
            let result = loop {
                tokio::select! {
                    biased;
                    Some(news) = told.recv() => {
                        if client.send(Ok(convert_progress(news))).await.is_err() {
                            return;
                        }
                    }
                    result = &mut work => break result,
                    // Dropping the work gives up what is not committed.
                    () = client.closed() => return,
                }
            };
            while let Ok(news) = told.try_recv() {
                let _ = client.send(Ok(convert_progress(news))).await;
            }
            if let Err(error) = result {
                let _ = client.send(Err(status(error))).await;
            }
        };
        tokio::spawn(work.in_current_span());
        Ok(Response::new(Box::pin(ReceiverStream::new(answer))))
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
