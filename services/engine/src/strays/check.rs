//! The engine's part of `gantry fsck`: folders without records, records without folders, and parts of containers that
//! have no record. It removes nothing that a person may have written, and ends nothing that runs.

use std::time::Duration;

use super::{Stray, Strays};
use crate::blocking::blocking;
use crate::error::Result;
use crate::paths::Paths;
use crate::record::{Stage, VolumeRecord};
use crate::root::kernel;

/// A finding.
pub(crate) struct Told {
    /// `record`, `directory`, `mount`, …
    pub kind: String,
    /// The name or path of the object.
    pub name: String,
    /// A description of the problem.
    pub detail: String,
    /// Whether the problem was repaired.
    pub repaired: bool,
}

/// How long to wait for removals that are in progress in the background.
const PATIENCE: Duration = Duration::from_secs(2);

impl Strays {
    /// Finds objects without an owner and missing objects. With `repair`, repairs what can be repaired without loss.
    pub(crate) async fn check(&self, repair: bool) -> Result<Vec<Told>> {
        let mut found = self.containers_at_odds().await?;
        if !found.is_empty() {
            tokio::time::sleep(PATIENCE).await;
            let still = self.containers_at_odds().await?;
            found.retain(|stray| still.contains(stray));
        }
        let mut told = Vec::new();
        for stray in found {
            let path = self.paths.containers().join(stray.id());
            let removed = matches!(&stray, Stray::Directory(name) if Paths::is_removed(name));
            if repair && removed {
                blocking(move || gantry_rooted::tree::remove_tree(&path).map_err(kernel)).await?;
            }
            told.push(tell(stray.kind(), stray.id(), stray.reason(), repair && removed));
        }
        told.extend(self.incomplete_containers(repair).await?);
        told.extend(self.volumes_at_odds(repair).await?);
        Ok(told)
    }

    async fn containers_at_odds(&self) -> Result<Vec<Stray>> {
        let parts = self.parts().await?;
        let mut found = parts.without_container(&self.containers.index);
        found.extend(parts.left_behind(&self.containers.index).cloned().map(Stray::Directory));
        Ok(found)
    }

    /// Containers that lack a part without which they cannot start.
    async fn incomplete_containers(&self, repair: bool) -> Result<Vec<Told>> {
        let parts = self.parts().await?;
        let mut told = Vec::new();
        for container in self.containers.all() {
            // A container that was created since the listing is not in `parts` yet. A container whose removal failed
            // may lack any part.
            let (new, unmade) = (!parts.known.contains(container.id()), container.life().is_unmade());
            if container.record().stage != Stage::Ready || new || unmade {
                continue;
            }
            if !parts.records.contains(container.id()) {
                let repaired = repair && self.record_again(&container).await.is_ok();
                told.push(tell("record", container.id(), "tasks has no record of this container", repaired));
            }
            if !parts.directories.contains(container.id()) {
                let path = self.paths.container(container.id());
                let repaired = repair && std::fs::create_dir(path).is_ok();
                told.push(tell("record", container.id(), "the container's directory is gone", repaired));
            }
        }
        Ok(told)
    }

    async fn volumes_at_odds(&self, repair: bool) -> Result<Vec<Told>> {
        let folders = self.volumes.folders().clone();
        // The folders are listed before the records, so that a folder of a volume that is being created has its
        // record, or its lock, by then.
        let names = blocking(move || folders.names()).await?;
        let mut told = Vec::new();
        for name in names.iter().filter(|name| self.volumes.get(name).is_err()) {
            let repaired = repair && self.volumes.record_folder(name).await.is_ok();
            let still = self.volumes.folders().home(name).exists();
            if still || repaired {
                let detail = "a folder without a record: to be a volume again";
                told.push(tell(
                    "directory",
                    &self.volumes.folders().home(name).display().to_string(),
                    detail,
                    repaired,
                ));
            }
        }
        for name in self.volumes.left_mounted().await {
            let repaired = repair && self.volumes.unmount_left(&name).await.unwrap_or(false);
            let place = self.volumes.folders().data(&name).display().to_string();
            told.push(tell("mount", &place, "mounted for a volume that nobody uses", repaired));
        }
        let own = |volume: &VolumeRecord| volume.driver == crate::volumes::driver::local::NAME;
        for volume in self.volumes.all().into_iter().filter(own) {
            if !self.volumes.folders().data(&volume.name).is_dir() && self.volumes.get(&volume.name).is_ok() {
                let repaired = repair && self.volumes.make_folder(&volume.name).await.is_ok();
                let detail = "the volume's folder is gone: to be made anew, empty";
                told.push(tell("record", &format!("volume {}", volume.name), detail, repaired));
            }
        }
        Ok(told)
    }
}

fn tell(kind: &str, name: &str, detail: &str, repaired: bool) -> Told {
    Told { kind: kind.to_owned(), name: name.to_owned(), detail: detail.to_owned(), repaired }
}
