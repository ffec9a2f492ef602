//! Mounts of images: each container has views of its own, which the engine mounts as it mounts volumes whose content is
//! elsewhere ([`super::held`]).
//!
//! The container's record in tasks refers to its views by labels, so that no collection takes them; they go with the
//! container.

use std::path::PathBuf;

use crate::container::create::blocking;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::{MountRecord, Record};
use crate::root::kernel;

/// Labels by which a container's record keeps its views.
pub fn references(record: &Record) -> impl Iterator<Item = (String, String)> {
    views(&record.mounts).enumerate().map(|(number, mount)| {
        let label = format!("containerd.io/gc.ref.snapshot.{}/image-{number}", mount.snapshotter);
        (label, mount.snapshot.clone())
    })
}

fn views(mounts: &[MountRecord]) -> impl Iterator<Item = &MountRecord> {
    mounts.iter().filter(|mount| !mount.snapshot.is_empty())
}

impl Engine {
    /// Finds the images among the mounts of a container that is being made; tells whether there are any.
    pub(crate) async fn find_images(&self, mounts: &mut [MountRecord], id: &str) -> Result<bool> {
        let mut any = false;
        for (number, mount) in mounts.iter_mut().filter(|mount| mount.point.r#type == "image").enumerate() {
            let image = self.peers.resolve_image(&mount.point.name, "").await?;
            mount.chain_id = image.chain_id;
            mount.snapshotter.clone_from(&self.snapshotter);
            mount.snapshot = format!("{id}-image-{number}");
            let place = self.paths.container(id).join(format!("image-{number}"));
            mount.point.source = place.display().to_string();
            mount.elsewhere = true;
            any = true;
        }
        Ok(any)
    }

    /// Makes a container's views. Only one that cannot be made asks whether its image is unpacked.
    pub(crate) async fn view_images(&self, record: &Record) -> Result<()> {
        for mount in views(&record.mounts) {
            let view = || self.peers.view(&mount.snapshotter, &mount.snapshot, &mount.chain_id);
            match view().await {
                Err(error) if error.peer_code() == Some(tonic::Code::NotFound) => {
                    self.peers.ensure_unpacked(&mount.point.name, "", &mount.snapshotter).await?;
                    view().await?;
                }
                made => made?,
            }
            let place = PathBuf::from(&mount.point.source);
            blocking(move || {
                std::fs::create_dir_all(&place).map_err(|source| Error::io("create directory", place, source))
            })
            .await?;
        }
        Ok(())
    }

    /// Removes a container's views.
    pub(crate) async fn remove_views(&self, record: &Record) -> Result<()> {
        for mount in views(&record.mounts) {
            let place = PathBuf::from(&mount.point.source);
            blocking(move || gantry_mount::detach_all(&place).map_err(kernel)).await?;
            self.peers.remove_snapshot(&mount.snapshotter, &mount.snapshot).await?;
        }
        Ok(())
    }
}
