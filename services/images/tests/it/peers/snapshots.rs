//! Snapshots, as far as images needs it: follows layers, proves their diff-ids, remembers chains.

use std::collections::BTreeMap;
use std::io::Read;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures::Stream;
use gantry_api::Peers;
use gantry_api::ingest::{self, Followed, Follower, Owner};
use gantry_proto::containerd::services::snapshots::v1 as api;
use gantry_proto::containerd::services::snapshots::v1::snapshots_server;
use gantry_proto::gantry::snapshots::v1 as pb;
use gantry_proto::gantry::snapshots::v1::unpacker_server;
use gantry_rpc::context;
use gantry_types::{ChainId, DiffId, Digest};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

#[derive(Clone)]
pub struct Snapshots {
    peers: Peers,
    chains: Arc<Mutex<BTreeMap<String, u64>>>,
}

type Events = Pin<Box<dyn Stream<Item = Result<pb::UnpackProgress, Status>> + Send>>;

impl Snapshots {
    pub fn new(peers: Peers) -> Self {
        Self { peers, chains: Arc::default() }
    }

    pub fn routes(&self) -> Routes {
        Routes::new(snapshots_server::SnapshotsServer::new(self.clone()))
            .add_service(unpacker_server::UnpackerServer::new(self.clone()))
    }

    pub fn count(&self) -> usize {
        self.chains.lock().expect("not poisoned").len()
    }

    /// Loses all that was unpacked.
    pub fn clear(&self) {
        self.chains.lock().expect("not poisoned").clear();
    }

    fn size(&self, key: &str) -> Result<u64, Status> {
        let chains = self.chains.lock().expect("not poisoned");
        chains.get(key).copied().ok_or_else(|| Status::not_found(key.to_owned()))
    }

    async fn one(&self, owner: &Owner, layer: &pb::Layer) -> Result<u64, Status> {
        let digest: Digest =
            layer.descriptor.as_ref().expect("a descriptor").digest.parse().expect("a digest");
        let (mut follower, _) = Follower::open(&self.peers, owner, &layer.r#ref, &digest, 5000).await?;
        loop {
            match follower.next().await? {
                Followed::Available(_) => {}
                Followed::Committed { .. } => break,
                Followed::Aborted(reason) => return Err(Status::aborted(reason)),
            }
        }
        let (mut file, _) = ingest::open_blob(&self.peers, &owner.namespace, &digest).await?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).expect("readable");
        let tar = match bytes.as_slice() {
            [0x1f, 0x8b, ..] => {
                let mut tar = Vec::new();
                let read = flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut tar);
                read.map_err(|error| Status::invalid_argument(error.to_string()))?;
                tar
            }
            [0x28, 0xb5, 0x2f, 0xfd, ..] => zstd::decode_all(bytes.as_slice()).expect("zstd"),
            _ => bytes,
        };
        match Digest::sha256(&tar).as_str() == layer.diff_id {
            true => Ok(tar.len() as u64),
            false => Err(Status::failed_precondition(format!("{digest} is not {}", layer.diff_id))),
        }
    }

    async fn all(
        &self,
        owner: Owner,
        layers: Vec<pb::Layer>,
        events: mpsc::Sender<Result<pb::UnpackProgress, Status>>,
    ) {
        let diff_ids: Vec<DiffId> =
            layers.iter().map(|layer| layer.diff_id.parse().expect("a diff-id")).collect();
        for (at, (layer, chain_id)) in layers.iter().zip(ChainId::all(&diff_ids)).enumerate() {
            use pb::unpack_progress::State;
            let size = layer.descriptor.as_ref().map_or(0, |descriptor| descriptor.size);
            let event = |state: State| pb::UnpackProgress {
                layer: at as u32,
                state: state.into(),
                offset: size,
                total: size,
                chain_id: chain_id.to_string(),
            };
            let state = match self.size(chain_id.as_str()) {
                Ok(_) => State::Exists,
                Err(_) => {
                    let _ = events.send(Ok(event(State::Extracting))).await;
                    match self.one(&owner, layer).await {
                        Ok(size) => {
                            self.chains.lock().expect("not poisoned").insert(chain_id.to_string(), size)
                        }
                        Err(status) => return drop(events.send(Err(status)).await),
                    };
                    State::Extracted
                }
            };
            if events.send(Ok(event(state))).await.is_err() {
                return;
            }
        }
    }
}

#[tonic::async_trait]
impl unpacker_server::Unpacker for Snapshots {
    type UnpackStream = Events;

    async fn unpack(&self, request: Request<pb::UnpackRequest>) -> Result<Response<Events>, Status> {
        let owner = Owner { namespace: context::namespace(&request)?, lease: context::lease(&request)? };
        if owner.lease.is_none() {
            return Err(Status::internal("layers without a lease are collected before an image keeps them"));
        }
        let (sender, receiver) = mpsc::channel(8);
        let snapshots = self.clone();
        tokio::spawn(async move { snapshots.all(owner, request.into_inner().layers, sender).await });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

fn unbuilt<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not in these tests"))
}

#[tonic::async_trait]
impl snapshots_server::Snapshots for Snapshots {
    async fn stat(
        &self,
        request: Request<api::StatSnapshotRequest>,
    ) -> Result<Response<api::StatSnapshotResponse>, Status> {
        self.size(&request.into_inner().key).map(|_| Response::new(api::StatSnapshotResponse::default()))
    }

    async fn usage(
        &self,
        request: Request<api::UsageRequest>,
    ) -> Result<Response<api::UsageResponse>, Status> {
        let size = self.size(&request.into_inner().key)?;
        Ok(Response::new(api::UsageResponse { size: size as i64, inodes: 1 }))
    }

    async fn prepare(
        &self,
        _: Request<api::PrepareSnapshotRequest>,
    ) -> Result<Response<api::PrepareSnapshotResponse>, Status> {
        unbuilt()
    }

    async fn view(
        &self,
        _: Request<api::ViewSnapshotRequest>,
    ) -> Result<Response<api::ViewSnapshotResponse>, Status> {
        unbuilt()
    }

    async fn mounts(&self, _: Request<api::MountsRequest>) -> Result<Response<api::MountsResponse>, Status> {
        unbuilt()
    }

    async fn commit(&self, _: Request<api::CommitSnapshotRequest>) -> Result<Response<()>, Status> {
        unbuilt()
    }

    async fn remove(&self, _: Request<api::RemoveSnapshotRequest>) -> Result<Response<()>, Status> {
        unbuilt()
    }

    async fn update(
        &self,
        _: Request<api::UpdateSnapshotRequest>,
    ) -> Result<Response<api::UpdateSnapshotResponse>, Status> {
        unbuilt()
    }

    type ListStream = Pin<Box<dyn Stream<Item = Result<api::ListSnapshotsResponse, Status>> + Send>>;

    async fn list(
        &self,
        _: Request<api::ListSnapshotsRequest>,
    ) -> Result<Response<Self::ListStream>, Status> {
        unbuilt()
    }

    async fn cleanup(&self, _: Request<api::CleanupRequest>) -> Result<Response<()>, Status> {
        unbuilt()
    }
}
