//! Container records: the durable half of a container.
//!
//! Table `containers`: (namespace, id) → containerd's `Container` message.

mod fields;
mod mask;

use std::time::SystemTime;

use gantry_disk::{Database, KeyedLocks, Table};
use gantry_failpoint::failpoint;
use gantry_proto::containerd::services::containers::v1::Container;
use gantry_types::filter::FilterSet;
use gantry_types::{Labels, Namespace, identifier};

use crate::error::Error;

/// The table's name.
pub const TABLE: &str = "containers";

type Key = (String, String);

/// The store of container records. Cheap to clone.
#[derive(Clone)]
pub struct Containers {
    database: Database,
    table: Table<Key, Container>,
    locks: KeyedLocks<Key>,
}

impl Containers {
    /// The store in an open database.
    pub fn new(database: Database) -> Containers {
        let table = database.table(TABLE);
        Containers { database, table, locks: KeyedLocks::new() }
    }

    fn key(namespace: &Namespace, id: &str) -> Key {
        (namespace.to_string(), id.to_owned())
    }

    /// One record.
    pub fn get(&self, namespace: &Namespace, id: &str) -> Result<Container, Error> {
        self.table.get(&Self::key(namespace, id))?.ok_or_else(|| Error::ContainerNotFound(id.to_owned()))
    }

    /// The records of a namespace that pass the filters, by id.
    pub fn list(&self, namespace: &str, filters: &[String]) -> Result<Vec<Container>, Error> {
        let filters = FilterSet::parse(filters)?;
        let mut found = Vec::new();
        for record in self.table.iter(namespace) {
            let (_, container) = record?;
            if filters.matches(&fields::Filterable(&container)) {
                found.push(container);
            }
        }
        Ok(found)
    }

    /// Every namespace that has a record.
    pub fn namespaces(&self) -> Result<Vec<String>, Error> {
        let mut names = std::collections::BTreeSet::new();
        for record in self.table.iter_all() {
            names.insert(record?.0.0);
        }
        Ok(names.into_iter().collect())
    }

    /// Adds a record. Returns the stored record.
    pub async fn create(&self, namespace: &Namespace, mut container: Container) -> Result<Container, Error> {
        validate(&container)?;
        container.labels.retain(|_, value| !value.is_empty());
        let now = Some(SystemTime::now().into());
        (container.created_at, container.updated_at) = (now, now);
        let key = Self::key(namespace, &container.id);
        let _lock = self.locks.lock(key.clone()).await;
        if self.table.get(&key)?.is_some() {
            return Err(Error::ContainerExists(container.id));
        }
        self.put(&key, &container).await?;
        failpoint!("tasks.container.recorded", infallible);
        Ok(container)
    }

    /// Changes the fields that the mask names, or with an empty mask every field that may change. Returns the stored
    /// record.
    pub async fn update(
        &self,
        namespace: &Namespace,
        update: Container,
        mask: &[String],
    ) -> Result<Container, Error> {
        let key = Self::key(namespace, &update.id);
        let _lock = self.locks.lock(key.clone()).await;
        let stored = self.table.get(&key)?.ok_or_else(|| Error::ContainerNotFound(update.id.clone()))?;
        let mut updated = mask::apply(stored, update, mask)?;
        validate(&updated)?;
        updated.updated_at = Some(SystemTime::now().into());
        self.put(&key, &updated).await?;
        Ok(updated)
    }

    /// Removes a record.
    pub async fn delete(&self, namespace: &Namespace, id: &str) -> Result<(), Error> {
        let key = Self::key(namespace, id);
        let _lock = self.locks.lock(key.clone()).await;
        if self.table.get(&key)?.is_none() {
            return Err(Error::ContainerNotFound(id.to_owned()));
        }
        let mut batch = self.database.batch();
        batch.delete(&self.table, &key);
        batch.commit().await?;
        failpoint!("tasks.container.deleted", infallible);
        Ok(())
    }

    async fn put(&self, key: &Key, container: &Container) -> Result<(), Error> {
        let mut batch = self.database.batch();
        batch.put(&self.table, key, container);
        Ok(batch.commit().await?)
    }
}

fn validate(container: &Container) -> Result<(), Error> {
    identifier::validate(&container.id)?;
    Labels::from(container.labels.clone()).validate()?;
    let invalid =
        |reason: &str| Err(Error::InvalidContainer { id: container.id.clone(), reason: reason.to_owned() });
    if container.extensions.keys().any(String::is_empty) {
        return invalid("an extension has no name");
    }
    if container.runtime.as_ref().is_none_or(|runtime| runtime.name.is_empty()) {
        return invalid("it names no runtime");
    }
    if container.spec.is_none() {
        return invalid("it has no spec");
    }
    if !container.snapshot_key.is_empty() && container.snapshotter.is_empty() {
        return invalid("it has a snapshot key but no snapshotter");
    }
    Ok(())
}
