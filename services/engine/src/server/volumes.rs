//! Implements the interface of volumes.

use gantry_api::engine::volumes::{Force, Inspect, Manage, Usage};
use gantry_api::engine::{Filter, Pruned, Volume, VolumeSpec};

use crate::engine::Engine;
use crate::error::Result;

impl Inspect for Engine {
    async fn volume(&self, name: &str) -> Result<Volume> {
        self.get_volume(name).await
    }

    async fn volumes(&self, filters: &[Filter], usage: Usage) -> Result<Vec<Volume>> {
        self.list_volumes(filters, usage).await
    }
}

impl Manage for Engine {
    async fn create_volume(&self, spec: VolumeSpec) -> Result<Volume> {
        self.make_volume(spec).await
    }

    async fn remove_volume(&self, name: &str, force: Force) -> Result<()> {
        self.unmake_volume(name, force == Force::Yes).await
    }

    async fn prune_volumes(&self, filters: &[Filter]) -> Result<Pruned> {
        Engine::prune_volumes(self, filters).await
    }
}
