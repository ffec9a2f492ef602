//! Container records: the durable half of a container.
//!
//! Table `containers`: (namespace, id) → containerd's `Container` message.

mod promise;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use gantry_api::tasks::records::{Container, Record, Update};
use gantry_disk::{Database, KeyedLocks, Table};
use gantry_failpoint::failpoint;
use gantry_proto::containerd::services::containers::v1 as pb;
use gantry_types::filter::FilterSet;
use gantry_types::{ContainerId, Namespace};
use parking_lot::Mutex;

pub use self::promise::Records;
use crate::error::Error;

/// The table's name.
pub const TABLE: &str = "containers";

type Key = (String, String);

/// The store of container records. Cheap to clone.
#[derive(Clone)]
pub struct Containers {
    database: Database,
    table: Table<Key, pb::Container>,
    locks: KeyedLocks<Key>,
    /// The unreadable records that the log has named. Guards the set only.
    named: Arc<Mutex<BTreeSet<String>>>,
}

fn key(namespace: &Namespace, id: &ContainerId) -> Key {
    (namespace.to_string(), id.to_string())
}

/// A stored record. Only a damaged one does not parse: every record was valid when it was written.
fn read(key: &Key, stored: pb::Container) -> Result<Record, Error> {
    stored.try_into().map_err(|invalid| {
        let (key, reason) = (format!("{}/{}", key.0, key.1), gantry_rpc::chain(&invalid));
        gantry_disk::Error::Corrupt { table: TABLE, key, reason }.into()
    })
}

impl Containers {
    /// The store in an open database.
    pub fn new(database: Database) -> Containers {
        let table = database.table(TABLE);
        Containers { database, table, locks: KeyedLocks::new(), named: Arc::default() }
    }

    /// One record.
    pub fn get(&self, namespace: &Namespace, id: &ContainerId) -> Result<Record, Error> {
        self.find(&key(namespace, id))?.ok_or_else(|| Error::ContainerNotFound(id.to_string()))
    }

    /// Whether there is a record, readable or not.
    pub fn contains(&self, namespace: &Namespace, id: &ContainerId) -> Result<bool, Error> {
        Ok(self.table.contains(&key(namespace, id))?)
    }

    /// The records of a namespace that pass the filters, by id. Leaves out those that cannot be read; the log names each
    /// of these once.
    pub fn list(&self, namespace: &Namespace, filters: &FilterSet) -> Result<Vec<Record>, Error> {
        let mut found = Vec::new();
        for record in self.iter(namespace) {
            match record {
                Ok(record) if filters.matches(&record) => found.push(record),
                Ok(_) => {}
                Err(Error::Database(error @ gantry_disk::Error::Corrupt { .. })) => self.name(&error),
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// All records of a namespace, by id. Fails if one cannot be read, for a caller who would take it for missing.
    pub fn all(&self, namespace: &Namespace) -> Result<Vec<Record>, Error> {
        self.iter(namespace).collect()
    }

    fn iter(&self, namespace: &Namespace) -> impl Iterator<Item = Result<Record, Error>> + '_ {
        self.table.iter(namespace.as_str()).map(|record| {
            let (key, stored) = record?;
            read(&key, stored)
        })
    }

    fn name(&self, unreadable: &gantry_disk::Error) {
        let text = gantry_rpc::chain(unreadable);
        if !self.named.lock().insert(text.clone()) {
            return;
        }
        tracing::error!(error = text, "the record of a container cannot be read: lists leave it out");
    }

    /// Every namespace that has a record.
    pub fn namespaces(&self) -> Result<BTreeSet<Namespace>, Error> {
        self.table.keys().map(|key| Ok(key?.0.parse()?)).collect()
    }

    /// Adds a record.
    pub async fn create(&self, namespace: &Namespace, container: Container) -> Result<Record, Error> {
        let key = key(namespace, &container.id);
        let _lock = self.locks.lock(key.clone()).await;
        let record = Record::new(container)?;
        if self.table.contains(&key)? {
            return Err(Error::ContainerExists(key.1));
        }
        self.put(&key, &record).await?;
        failpoint!("tasks.container.recorded", infallible);
        Ok(record)
    }

    /// Changes a record. Returns it as it was, and as it is now.
    pub async fn update(
        &self,
        namespace: &Namespace,
        id: &ContainerId,
        update: Update,
    ) -> Result<(Record, Record), Error> {
        let key = key(namespace, id);
        let _lock = self.locks.lock(key.clone()).await;
        let before = self.get(namespace, id)?;
        let container = update.applied_to(&before.container)?;
        let after = Record { container, created: before.created, updated: SystemTime::now() };
        self.put(&key, &after).await?;
        Ok((before, after))
    }

    /// Removes a record.
    pub async fn delete(&self, namespace: &Namespace, id: &ContainerId) -> Result<(), Error> {
        let key = key(namespace, id);
        let _lock = self.locks.lock(key.clone()).await;
        if !self.table.contains(&key)? {
            return Err(Error::ContainerNotFound(key.1));
        }
        self.remove(&key).await?;
        failpoint!("tasks.container.deleted", infallible);
        Ok(())
    }

    /// Removes the record that a creation has added. Leaves a newer one of the same id.
    pub async fn undo_creation(&self, namespace: &Namespace, made: &Record) -> Result<(), Error> {
        let key = key(namespace, &made.container.id);
        let _lock = self.locks.lock(key.clone()).await;
        match self.find(&key)? {
            Some(found) if found.created == made.created => self.remove(&key).await,
            _ => Ok(()),
        }
    }

    /// Undoes a change whose new snapshot cannot be kept: all of it, or only the snapshot if the record has changed
    /// since. Leaves a newer record of the same id, and another snapshot.
    pub async fn undo_update(
        &self,
        namespace: &Namespace,
        before: &Record,
        after: &Record,
    ) -> Result<(), Error> {
        let key = key(namespace, &after.container.id);
        let _lock = self.locks.lock(key.clone()).await;
        let Some(mut found) = self.find(&key)? else { return Ok(()) };
        if found == *after {
            return self.put(&key, before).await;
        }
        let is_same = found.created == after.created;
        if !is_same || found.container.snapshot_key != after.container.snapshot_key {
            return Ok(());
        }
        found.container.snapshot_key.clone_from(&before.container.snapshot_key);
        found.updated = SystemTime::now();
        self.put(&key, &found).await
    }

    fn find(&self, key: &Key) -> Result<Option<Record>, Error> {
        self.table.get(key)?.map(|stored| read(key, stored)).transpose()
    }

    async fn put(&self, key: &Key, record: &Record) -> Result<(), Error> {
        let mut batch = self.database.batch();
        batch.put(&self.table, key, &record.clone().into());
        Ok(batch.commit().await?)
    }

    async fn remove(&self, key: &Key) -> Result<(), Error> {
        let mut batch = self.database.batch();
        batch.delete(&self.table, key);
        Ok(batch.commit().await?)
    }
}

#[cfg(test)]
mod tests;
