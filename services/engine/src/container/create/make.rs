//! Makes a planned container step by step.

use std::sync::Arc;

use gantry_failpoint::failpoint;
use gantry_mount::Mount;
use oci_spec::runtime::Spec;

use crate::blocking::blocking;
use crate::container::life::Life;
use crate::container::remove::{self, Removal};
use crate::container::{Container, recorded, skeleton};
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::paths::Paths;
use crate::peers::{Images, Peers, Records, Snapshots};
use crate::record::{MountRecord, Record, Stage, VolumeRecord};
use crate::volumes::held::Mounts;
use crate::volumes::{Volumes, images};

/// Makes containers. Cheap to clone.
#[derive(Clone)]
pub struct Making {
    containers: Containers,
    images: Images,
    records: Records,
    snapshots: Snapshots,
    volumes: Arc<Volumes>,
    mounts: Mounts,
    events: Events,
    removal: Removal,
    paths: Paths,
}

impl Making {
    /// Makes containers beside these, in these services.
    pub fn new(
        containers: &Containers,
        peers: &Peers,
        volumes: &Arc<Volumes>,
        mounts: &Mounts,
        events: &Events,
        removal: &Removal,
        paths: &Paths,
    ) -> Making {
        Making {
            containers: containers.clone(),
            images: peers.images.clone(),
            records: peers.records.clone(),
            snapshots: peers.snapshots.clone(),
            volumes: Arc::clone(volumes),
            mounts: mounts.clone(),
            events: events.clone(),
            removal: removal.clone(),
            paths: paths.clone(),
        }
    }

    /// Makes a planned container. If that fails, what was made of it is removed, at once or later.
    pub(super) async fn make(&self, record: Record, spec: &Spec, platform: &str) -> Result<Arc<Container>> {
        let life = Life::default();
        let state = life.recorded();
        let container = Container::new(record.clone(), life, self.containers.index.generation());
        let container = container.inspect_err(|_| self.containers.index.release(&record.name, &record.id))?;
        let container = Arc::new(container);
        if let Err(error) = self.containers.store.put(&record, &state).await {
            self.containers.index.release(&record.name, &record.id);
            return Err(error);
        }
        // The container can be found from here on (its volumes are in use), but changes wait for the lock.
        let turn = container.operate().await;
        self.containers.index.insert(Arc::clone(&container));
        self.containers.rename_children(&record.links);
        let made = match self.make_steps(&container, spec, platform).await {
            Ok(mounts) => {
                let ready = Record { stage: Stage::Ready, mounts, ..record };
                let written = self.containers.store.put(&ready, &state).await;
                written.map(|()| container.set_record(ready))
            }
            Err(error) => Err(error),
        };
        if let Err(error) = made {
            if let Err(undo) = self.removal.unmake(&container, remove::Volumes::Anonymous).await {
                tracing::warn!(container = %container.id(), error = %gantry_rpc::chain(&undo), "half-made container is unmade later");
                self.removal.unmake_later(&container);
            }
            return Err(error);
        }
        drop(turn);
        Ok(container)
    }

    async fn make_steps(
        &self,
        container: &Container,
        spec: &Spec,
        platform: &str,
    ) -> Result<Vec<MountRecord>> {
        failpoint!("engine.create.recorded");
        let record = &container.record();
        let directory = self.paths.container(&record.id);
        let (rootfs, made) = tokio::join!(
            self.make_root(record, spec, platform),
            blocking(move || {
                std::fs::create_dir_all(&directory)
                    .map_err(|source| Error::io("create directory", directory.clone(), source))
            }),
        );
        made?;
        let rootfs = rootfs?;
        failpoint!("engine.create.rooted");
        let (mounts, of) = (rootfs.clone(), container.record());
        let places = blocking(move || skeleton::prepare(&mounts, &of)).await?;
        failpoint!("engine.create.laid");
        images::make(&self.images, &self.snapshots, record).await?;
        let made = |volume: &VolumeRecord| self.events.publish_volume(&volume.name, &volume.driver, "create");
        let mounts = self.volumes.provide(&record.mounts, made).await?;
        failpoint!("engine.create.provided");
        // If the image has nothing at the place, there is nothing to copy.
        let filled = mounts.iter().filter(|mount| !places.contains(&mount.point.destination));
        let filled: Vec<MountRecord> = filled.cloned().collect();
        let fillable: Vec<MountRecord> =
            filled.iter().filter(|mount| crate::volumes::copy_up::is_fillable(mount)).cloned().collect();
        let held = self.mounts.hold_for_now(&fillable).await?;
        self.volumes.fill(&rootfs, self.volumes.placed(&filled).iter()).await?;
        drop(held);
        failpoint!("engine.create.filled");
        // A client that inspected the container meanwhile may have set it already.
        let _ = container.mounts.set(rootfs);
        Ok(mounts)
    }

    /// Makes the container record and then the root that it keeps: in this order no garbage collection finds the root
    /// without its keeper. Only if the root cannot be made, this checks that the image is unpacked.
    async fn make_root(&self, record: &Record, spec: &Spec, platform: &str) -> Result<Vec<Mount>> {
        recorded::record(&self.records, record, spec).await?;
        let prepare = || self.snapshots.prepare(&record.snapshotter, &record.id, &record.chain_id);
        match prepare().await {
            Err(error) if error.peer_code() == Some(tonic::Code::NotFound) => {
                self.images.unpack(&record.config.image, platform, &record.snapshotter).await?;
                prepare().await
            }
            prepared => prepared,
        }
    }
}
