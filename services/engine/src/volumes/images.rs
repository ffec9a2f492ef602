//! Mounts of images. Each container has its own views, which the engine mounts in the same way as volumes
//! ([`super::held`]).
//!
//! The labels of the container's record in the tasks service refer to its views, so that garbage collection keeps
//! them. They are removed with the container.

use std::path::PathBuf;

use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::paths::Paths;
use crate::peers::{Images, Snapshots};
use crate::record::{MountRecord, Record};
use crate::root::kernel;

/// Labels with which a container's record keeps its views.
pub fn references(record: &Record) -> impl Iterator<Item = (String, String)> {
    views(&record.mounts).enumerate().map(|(number, mount)| {
        let label = format!("containerd.io/gc.ref.snapshot.{}/image-{number}", mount.snapshotter);
        (label, mount.snapshot.clone())
    })
}

fn views(mounts: &[MountRecord]) -> impl Iterator<Item = &MountRecord> {
    mounts.iter().filter(|mount| !mount.snapshot.is_empty())
}

/// Resolves the images among the mounts of a container that is being created. Returns whether there are any.
pub(crate) async fn find(
    images: &Images,
    paths: &Paths,
    snapshotter: &str,
    mounts: &mut [MountRecord],
    id: &str,
) -> Result<bool> {
    let mut any = false;
    for (number, mount) in mounts.iter_mut().filter(|mount| mount.point.r#type == "image").enumerate() {
        let image = images.resolve(&mount.point.name, "").await?;
        mount.chain_id = image.chain_id().map(|chain| chain.to_string()).unwrap_or_default();
        snapshotter.clone_into(&mut mount.snapshotter);
        mount.snapshot = format!("{id}-image-{number}");
        let place = paths.container(id).join(format!("image-{number}"));
        mount.point.source = place.display().to_string();
        mount.elsewhere = true;
        any = true;
    }
    Ok(any)
}

/// Makes a container's views. Only if that fails, makes sure that the image is unpacked and tries again.
pub(crate) async fn make(images: &Images, snapshots: &Snapshots, record: &Record) -> Result<()> {
    for mount in views(&record.mounts) {
        let view = || snapshots.view(&mount.snapshotter, &mount.snapshot, &mount.chain_id);
        match view().await {
            Err(error) if error.peer_code() == Some(tonic::Code::NotFound) => {
                images.unpack(&mount.point.name, "", &mount.snapshotter).await?;
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
pub(crate) async fn remove(snapshots: &Snapshots, record: &Record) -> Result<()> {
    for mount in views(&record.mounts) {
        let place = PathBuf::from(&mount.point.source);
        blocking(move || gantry_mount::detach_all(&place).map_err(kernel)).await?;
        snapshots.remove(&mount.snapshotter, &mount.snapshot).await?;
    }
    Ok(())
}
