//! All containers: lookup and persistence.

use std::sync::Arc;

use crate::container::Container;
use crate::container::tombstones::Tombstones;
use crate::error::Result;
use crate::index::Index;
use crate::record::Record;
use crate::record::stored::StateRecord;
use crate::store::Store;

/// All containers. Cheap to clone.
#[derive(Clone)]
pub struct Containers {
    pub(crate) index: Arc<Index>,
    pub(crate) store: Store,
    pub(crate) tombstones: Arc<Tombstones>,
}

impl Containers {
    /// An empty set; containers are added from the store later.
    pub fn new(store: Store) -> Containers {
        Containers { index: Arc::default(), store, tombstones: Arc::default() }
    }

    /// Finds a container by full id, exact name (also `parent/alias` of a link), or unique id prefix, in this order.
    pub fn find(&self, text: &str) -> Result<Arc<Container>> {
        self.index.find(text)
    }

    /// All containers.
    pub fn all(&self) -> Vec<Arc<Container>> {
        self.index.all()
    }

    /// Writes a changed record and publishes it. The caller must hold the container's operation lock.
    pub(crate) async fn write(&self, container: &Container, record: Record) -> Result<()> {
        let state = container.life().recorded();
        self.store.put(&record, &state).await?;
        container.set_record(record);
        Ok(())
    }

    /// Writes a container's state. The caller must hold its operation lock.
    pub(crate) async fn write_state(&self, container: &Container, state: &StateRecord) -> Result<()> {
        self.store.put_state(container.id(), state).await
    }
}
