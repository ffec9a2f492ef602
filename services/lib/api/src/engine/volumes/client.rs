//! A client of the engine's volumes, over its socket.

use gantry_proto::gantry::engine::v1 as pb;

use super::{Force, Inspect, Manage, Usage};
use crate::Failure;
use crate::engine::{Filter, Pruned, Volume, VolumeSpec};

client!(
    /// A client of the engine's volumes. Cheap to clone.
    "engine"
);

impl Inspect for Client {
    async fn volume(&self, name: &str) -> Result<Volume, Failure> {
        let request = pb::VolumeRequest { name: name.to_owned() };
        self.caller.ask("look up a volume", self.peers.volumes().get(request)).await.map(Into::into)
    }

    async fn volumes(&self, filters: &[Filter], usage: Usage) -> Result<Vec<Volume>, Failure> {
        let filters = filters.iter().cloned().map(Into::into).collect();
        let request = pb::ListVolumesRequest { filters, usage: usage == Usage::Measured };
        let answer = self.caller.ask("list volumes", self.peers.volumes().list(request)).await?;
        Ok(answer.volumes.into_iter().map(Into::into).collect())
    }
}

impl Manage for Client {
    async fn create_volume(&self, spec: VolumeSpec) -> Result<Volume, Failure> {
        let request = pb::CreateVolumeRequest::from(spec);
        self.caller.ask("create a volume", self.peers.volumes().create(request)).await.map(Into::into)
    }

    async fn remove_volume(&self, name: &str, force: Force) -> Result<(), Failure> {
        let request = pb::RemoveVolumeRequest { name: name.to_owned(), force: force == Force::Yes };
        self.caller.ask("remove a volume", self.peers.volumes().remove(request)).await.map(drop)
    }

    async fn prune_volumes(&self, filters: &[Filter]) -> Result<Pruned, Failure> {
        let request = pb::PruneRequest { filters: filters.iter().cloned().map(Into::into).collect() };
        self.caller.ask("prune volumes", self.peers.volumes().prune(request)).await.map(Into::into)
    }
}
