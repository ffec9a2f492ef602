//! Takes away what a removed container had: its root, its records, its volumes and its files.

use std::path::PathBuf;
use std::sync::Arc;

use gantry_failpoint::failpoint;

use super::{Removal, Volumes};
use crate::blocking::blocking;
use crate::container::Container;
use crate::container::life::Life;
use crate::error::{Error, Result};
use crate::record::Record;
use crate::volumes::{images, users};

impl Removal {
    /// Takes away what nothing uses any more. If this fails, it is retried, because the engine's record still exists.
    pub(super) async fn take_away(&self, container: &Arc<Container>, volumes: Volumes) -> Result<()> {
        let record = container.record();
        let id = container.id();
        failpoint!("engine.remove.recorded");
        let (root, recorded) =
            tokio::join!(self.snapshots.remove(&record.snapshotter, id), self.records.delete(id));
        root.and(recorded)?;
        failpoint!("engine.remove.detached");
        self.holdings.release(container).await;
        images::remove(&self.snapshots, &record).await?;
        if volumes == Volumes::Anonymous {
            // Before the record is deleted, because only the record names these volumes.
            self.remove_anonymous_volumes(&record).await;
        }
        failpoint!("engine.remove.emptied");
        let directory = self.put_away(id)?;
        failpoint!("engine.remove.away");
        let delete = async |execs: Vec<String>| self.containers.store.delete(id, &execs).await;
        container.execs.close(delete).await?;
        failpoint!("engine.remove.forgotten", infallible);
        if record.host.auto_remove {
            self.containers.tombstones.put(id, container.life().past().exit_code);
        }
        self.containers.index.remove(id);
        self.containers.rename_children(&record.links);
        container.change(Life::removed)?;
        // If this is interrupted, recovery finishes it.
        let id = id.to_owned();
        self.context.spawn("remove a container's files", async move {
            let removed = blocking(move || gantry_rooted::tree::remove_tree(&directory).map_err(crate::root::kernel));
            if let Err(error) = removed.await {
                tracing::warn!(container = %id, error = %gantry_rpc::chain(&error), "container's files stay for recovery");
            }
        });
        Ok(())
    }

    /// Moves a container's files to a place from which a start may remove them. A start could not tell them from the
    /// files of a container whose record is lost otherwise.
    fn put_away(&self, id: &str) -> Result<PathBuf> {
        let (home, away) = (self.paths.container(id), self.paths.removed(id));
        match std::fs::rename(&home, &away) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("move away", home, source))
            }
            _ => Ok(away),
        }
    }

    async fn remove_anonymous_volumes(&self, record: &Record) {
        for mount in record.mounts.iter().filter(|mount| mount.anonymous) {
            let users = |name: &str| {
                let mut others = users::of(&self.containers, name);
                others.retain(|user| *user != record.id);
                others
            };
            match self.volumes.remove(&mount.point.name, users).await {
                Ok(driver) => self.events.publish_volume(&mount.point.name, &driver, "destroy"),
                Err(Error::NoSuchVolume(_) | Error::VolumeInUse { .. }) => {}
                Err(error) => {
                    tracing::warn!(volume = %mount.point.name, error = %gantry_rpc::chain(&error), "anonymous volume stays");
                }
            }
        }
    }
}
