//! The image records.
//!
//! ```text
//! <state>/images/db/    table `images`: (namespace, name) → containerd.services.images.v1.Image
//! ```
//!
//! Invariant: a record is changed only under its key's lock, and is durable when a method returns. That what a
//! record points at exists is [`crate::names`]'s business.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use gantry_api::images::RecordUpdate;
use gantry_disk::{Database, KeyedGuard, KeyedLocks, Table};
use gantry_proto::containerd::services::images::v1::Image;
use gantry_types::{Digest, Namespace};
use parking_lot::Mutex;

use crate::error::Error;
use crate::record::{self, Record};

type Key = (Namespace, String);

/// The records of all namespaces. A cheap clone.
#[derive(Clone)]
pub struct Store {
    database: Database,
    images: Table<Key, Image>,
    locks: KeyedLocks<Key>,
    /// When records were last used, since the start; guards single reads and writes of the map.
    stamps: Arc<Mutex<HashMap<Key, u64>>>,
    started: u64,
}

/// What [`Store::put`] found and left.
#[derive(Clone, Debug)]
pub struct Put {
    /// The record as it is now.
    pub record: Record,
    /// The record as it was.
    pub previous: Option<Record>,
}

impl Store {
    /// Opens the records in `directory`.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let database = Database::open(directory.join("db"), &["images"]).map_err(disk("opened"))?;
        Ok(Self {
            images: database.table("images"),
            database,
            locks: KeyedLocks::new(),
            stamps: Arc::default(),
            started: Self::mark(),
        })
    }

    /// The records as a whole.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// One record.
    pub fn get(&self, namespace: &Namespace, name: &str) -> Result<Record, Error> {
        self.find(namespace, name)?.ok_or_else(|| Error::NoRecord(name.to_owned()))
    }

    /// One record, if it is there.
    pub fn find(&self, namespace: &Namespace, name: &str) -> Result<Option<Record>, Error> {
        let image = self.images.get(&(namespace.clone(), name.to_owned())).map_err(disk("read"))?;
        image.map(record::read).transpose()
    }

    /// All records of a namespace, by name.
    pub fn list(&self, namespace: &Namespace) -> Result<Vec<Record>, Error> {
        self.images.iter(namespace).map(|entry| record::read(entry.map_err(disk("read"))?.1)).collect()
    }

    /// The namespaces that have records.
    pub fn namespaces(&self) -> Result<BTreeSet<Namespace>, Error> {
        self.images.iter_all().map(|entry| Ok(entry.map_err(disk("read"))?.0.0)).collect()
    }

    /// Writes a record whose name is free.
    pub async fn create(&self, namespace: &Namespace, record: Record) -> Result<Record, Error> {
        record::validate(&record)?;
        let guard = self.lock(namespace, &record.name).await;
        if self.find(namespace, &record.name)?.is_some() {
            return Err(Error::RecordExists(record.name));
        }
        self.write(namespace, record, &guard).await
    }

    /// Changes a record.
    pub async fn update(
        &self,
        namespace: &Namespace,
        name: &str,
        update: &RecordUpdate,
    ) -> Result<Put, Error> {
        let guard = self.lock(namespace, name).await;
        let previous = self.get(namespace, name)?;
        let mut record = previous.clone();
        update.apply(&mut record)?;
        record::validate(&record)?;
        let record = self.write(namespace, record, &guard).await?;
        Ok(Put { record, previous: Some(previous) })
    }

    /// Points a name at a target, whether it existed or not, and adds `labels`.
    pub async fn put(&self, namespace: &Namespace, wanted: Record) -> Result<Put, Error> {
        record::validate(&wanted)?;
        let guard = self.lock(namespace, &wanted.name).await;
        let previous = self.find(namespace, &wanted.name)?;
        let record = match &previous {
            None => wanted,
            Some(known) => {
                let mut labels = known.labels.clone();
                for (key, value) in wanted.labels.iter() {
                    labels.insert(key.clone(), value.clone());
                }
                Record { created: known.created, labels, ..wanted }
            }
        };
        let record = self.write(namespace, record, &guard).await?;
        Ok(Put { record, previous })
    }

    /// Takes a change back, unless the record has changed since.
    pub async fn undo(&self, namespace: &Namespace, put: &Put) -> Result<(), Error> {
        let name = &put.record.name;
        let guard = self.lock(namespace, name).await;
        if self.find(namespace, name)?.as_ref() != Some(&put.record) {
            return Ok(());
        }
        match &put.previous {
            Some(previous) => self.write(namespace, previous.clone(), &guard).await.map(drop),
            None => self.erase(namespace, name, &guard).await,
        }
    }

    /// Removes a record; when `expected` is given, only if it points there.
    pub async fn delete(
        &self,
        namespace: &Namespace,
        name: &str,
        expected: Option<&Digest>,
    ) -> Result<Record, Error> {
        let guard = self.lock(namespace, name).await;
        let record = self.get(namespace, name)?;
        if let Some(expected) = expected
            && record.target.digest != *expected
        {
            return Err(Error::OtherTarget { name: name.to_owned(), expected: expected.to_string() });
        }
        self.erase(namespace, name, &guard).await?;
        Ok(record)
    }

    /// Notes that a record is used now; false when it is not there.
    pub fn touch(&self, namespace: &Namespace, name: &str) -> Result<bool, Error> {
        self.stamp(namespace, name);
        Ok(self.find(namespace, name)?.is_some())
    }

    /// Whether a record was created, changed or touched after `mark`. Everything was, before this process knew.
    pub fn touched_since(&self, namespace: &Namespace, name: &str, mark: u64) -> bool {
        let stamps = self.stamps.lock();
        mark <= self.started
            || stamps.get(&(namespace.clone(), name.to_owned())).is_some_and(|stamp| *stamp >= mark)
    }

    /// A mark of now, for [`Store::touched_since`].
    pub fn mark() -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    fn stamp(&self, namespace: &Namespace, name: &str) {
        let mut stamps = self.stamps.lock();
        stamps.insert((namespace.clone(), name.to_owned()), Self::mark());
    }

    async fn lock(&self, namespace: &Namespace, name: &str) -> KeyedGuard<Key> {
        self.locks.lock((namespace.clone(), name.to_owned())).await
    }

    async fn write(
        &self,
        namespace: &Namespace,
        record: Record,
        _guard: &KeyedGuard<Key>,
    ) -> Result<Record, Error> {
        self.stamp(namespace, &record.name);
        let mut batch = self.database.batch();
        batch.put(&self.images, &(namespace.clone(), record.name.clone()), &record::stored(record.clone()));
        batch.commit().await.map_err(disk("written"))?;
        Ok(record)
    }

    async fn erase(&self, namespace: &Namespace, name: &str, _guard: &KeyedGuard<Key>) -> Result<(), Error> {
        let key = (namespace.clone(), name.to_owned());
        let mut batch = self.database.batch();
        batch.delete(&self.images, &key);
        batch.commit().await.map_err(disk("written"))?;
        self.stamps.lock().remove(&key);
        Ok(())
    }
}

fn disk(op: &'static str) -> impl FnOnce(gantry_disk::Error) -> Error {
    move |source| Error::Disk { op, source }
}

#[cfg(test)]
mod tests {
    use gantry_types::{Descriptor, media_type};

    use super::*;

    fn record(name: &str, content: &str) -> Record {
        Record::new(name, Descriptor::new(media_type::OCI_MANIFEST, Digest::sha256(content.as_bytes()), 3))
    }

    fn store() -> (tempfile::TempDir, Store, Namespace) {
        let directory = tempfile::tempdir_in("/dev/shm").expect("a directory");
        let store = Store::open(directory.path()).expect("a store");
        (directory, store, "moby".parse().expect("an identifier"))
    }

    #[tokio::test]
    async fn second_create_already_exists() {
        let (_directory, store, moby) = store();
        store.create(&moby, record("a", "1")).await.expect("free");
        assert!(matches!(store.create(&moby, record("a", "2")).await, Err(Error::RecordExists(_))));
        assert_eq!(store.list(&moby).expect("readable").len(), 1);
        assert!(store.list(&"other".parse().expect("an identifier")).expect("readable").is_empty());
    }

    #[tokio::test]
    async fn undo_restores_unless_others_changed() {
        let (_directory, store, moby) = store();
        let first = store.put(&moby, record("a", "1")).await.expect("written");
        let second = store.put(&moby, record("a", "2")).await.expect("written");
        store.undo(&moby, &first).await.expect("nothing to do");
        assert_eq!(store.get(&moby, "a").expect("there").target, second.record.target);
        store.undo(&moby, &second).await.expect("undone");
        assert_eq!(store.get(&moby, "a").expect("there").target, first.record.target);
    }

    #[tokio::test]
    async fn delete_of_another_target_is_refused() {
        let (_directory, store, moby) = store();
        store.create(&moby, record("a", "1")).await.expect("free");
        let other = Digest::sha256(b"2");
        assert!(matches!(store.delete(&moby, "a", Some(&other)).await, Err(Error::OtherTarget { .. })));
        store.delete(&moby, "a", None).await.expect("there");
        assert!(matches!(store.delete(&moby, "a", None).await, Err(Error::NoRecord(_))));
    }

    #[tokio::test]
    async fn records_survive_and_are_fresh_after_a_restart() {
        let (directory, store, moby) = store();
        let mark = Store::mark();
        store.create(&moby, record("a", "1")).await.expect("free");
        assert!(store.touched_since(&moby, "a", mark));
        drop(store);
        let store = Store::open(directory.path()).expect("a store");
        assert!(store.touched_since(&moby, "a", mark), "nothing is known of before the start");
        assert!(!store.touched_since(&moby, "a", Store::mark()));
        assert_eq!(store.get(&moby, "a").expect("there").name, "a");
    }
}
