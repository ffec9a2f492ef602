//! A layer onto the mounts of a remote snapshotter.

use std::path::Path;

use gantry_api::snapshots::{Owner, Step};
use gantry_rooted::Root;
use gantry_rpc::carry;
use gantry_types::{ChainId, Labels};
use tokio::sync::watch;

use super::extraction::{ATTEMPTS, Place, once, worthless};
use super::{Below, Task};
use crate::layer::Mode;
use crate::promise::to_make;
use crate::record::{Kind, Scope};
use crate::remote::TARGET;
use crate::server::{Events, Leases};
use crate::store::Store;
use crate::{Error, Result};

/// Of which blob a snapshot is to be: some backends fetch it by themselves.
const BLOB: &str = "containerd.io/snapshot/cri.layer-digest";

/// What a remote snapshotter shows of an active snapshot.
struct Mounted(Vec<gantry_mount::Mount>);

impl Place for Mounted {
    fn open(&self) -> Result<Root> {
        Ok(Root::from_fd(gantry_mount::open_detached(&self.0)?))
    }

    fn finish(&self, root: &Root) -> Result<()> {
        Ok(gantry_rooted::tree::sync_file_system(root.dir(Path::new(""))?)?)
    }
}

impl Task {
    /// Extracts the layer into a snapshot of its own, and commits it; or hears that the backend has it.
    pub(super) async fn onto_remote(&self, below: &mut watch::Receiver<Below>) -> Result<()> {
        self.committed(below).await?;
        let (store, name) = (&self.unpacker.store, self.chain.to_string());
        let parent = self.parent.as_ref().map(ChainId::to_string).unwrap_or_default();
        let labels = Labels::from([(TARGET, name.as_str()), (BLOB, self.layer.blob.as_str())]);
        for attempt in 0..ATTEMPTS {
            let key = format!("extract-{}-{attempt} {name}", store.mark());
            self.unpacker.leases.add(&self.owner, &self.scope, &key).await?;
            let prepared = store.prepare(&self.scope, Kind::Active, &key, &parent, labels.clone()).await;
            let mounts = match prepared {
                Err(Error::AlreadyExists(target)) if target == name => {
                    self.unpacker.leases.remove(&self.owner, &self.scope, &key).await;
                    return self.told(Step::Exists);
                }
                prepared => prepared?,
            };
            let unfinished = Unfinished::new(self, key);
            let place = async { Ok(Mounted(to_make(mounts))) };
            if once(self, Mode::Merged, place).await?.is_some() {
                unfinished.commit(name, labels).await?;
                return self.told(Step::Extracted);
            }
        }
        Err(worthless())
    }

    /// Tells those above, and who asked, that the layer is there.
    fn told(&self, step: Step) -> Result<()> {
        let record = self.unpacker.store.stat(&self.scope, self.chain.as_str())?;
        self.above.send_replace(Below::Committed(record.stack()));
        self.tell(step, self.layer.size);
        Ok(())
    }
}

/// A snapshot that goes again unless it is committed.
struct Unfinished {
    store: Store,
    scope: Scope,
    events: Events,
    leases: Leases,
    owner: Owner,
    key: Option<String>,
}

impl Unfinished {
    fn new(task: &Task, key: String) -> Self {
        Self {
            store: task.unpacker.store.clone(),
            scope: task.scope.clone(),
            events: task.unpacker.events.clone(),
            leases: task.unpacker.leases.clone(),
            owner: task.owner.clone(),
            key: Some(key),
        }
    }

    /// Commits, on a task of its own: once begun it must be known how it ended.
    async fn commit(mut self, name: String, labels: Labels) -> Result<()> {
        let work = async move {
            let Some(key) = self.key.clone() else { return Ok(()) };
            self.store.commit(&self.scope, &name, &key, labels, "").await?;
            self.key = None;
            self.events.committed(&self.scope, &key, &name);
            self.leases.remove(&self.owner, &self.scope, &key).await;
            Ok(())
        };
        carry::to_its_end(work).await.unwrap_or(Err(Error::Cancelled))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let Some(key) = self.key.take() else { return };
        let (store, scope) = (self.store.clone(), self.scope.clone());
        let (leases, owner) = (self.leases.clone(), self.owner.clone());
        carry::start(async move {
            match store.remove(&scope, &key).await {
                Ok(()) | Err(Error::NotFound(_)) => {}
                Err(error) => {
                    tracing::warn!(snapshot = key, error = %gantry_rpc::chain(&error), "half a layer stays until it is collected");
                }
            }
            leases.remove(&owner, &scope, &key).await;
        });
    }
}
