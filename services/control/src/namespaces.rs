//! Namespaces that were made by name, with their labels. Others exist because
//! something is in them; only the stores know those.
//!
//! Table `namespaces`: name → containerd's `Namespace` message.

use gantry_disk::{Database, KeyedLocks, Table};
use gantry_proto::containerd::services::namespaces::v1::Namespace as Record;
use gantry_types::{Error as Argument, Labels, Namespace};

use crate::error::Error;

/// The table's name.
pub const TABLE: &str = "namespaces";

/// The store of namespace records. Cheap to clone.
#[derive(Clone)]
pub struct Namespaces {
    database: Database,
    table: Table<String, Record>,
    locks: KeyedLocks<String>,
}

impl Namespaces {
    /// The store in an open database.
    pub fn new(database: Database) -> Namespaces {
        Namespaces { table: database.table(TABLE), database, locks: KeyedLocks::new() }
    }

    /// The record of a namespace, if it has one.
    pub fn find(&self, name: &str) -> Result<Option<Record>, Error> {
        Ok(self.table.get(&name.to_owned())?)
    }

    /// All records, by name.
    pub fn list(&self) -> Result<Vec<Record>, Error> {
        Ok(self.table.scan_all()?.into_iter().map(|(_, record)| record).collect())
    }

    /// Adds a record.
    pub async fn create(&self, name: &Namespace, labels: Labels) -> Result<Record, Error> {
        labels.validate()?;
        let key = name.to_string();
        let _lock = self.locks.lock(key.clone()).await;
        if self.table.contains(&key)? {
            return Err(Error::NamespaceExists(key));
        }
        let record = Record { name: key.clone(), labels: labels.without_empty().into() };
        self.put(&key, &record).await?;
        Ok(record)
    }

    /// Sets or removes the labels that the mask names (`labels.<key>`); replaces all of them without a mask.
    pub async fn update(&self, name: &Namespace, update: &Labels, mask: &[String]) -> Result<Record, Error> {
        if let Some(path) = mask.iter().find(|path| !path.starts_with("labels.")) {
            return Err(Argument::UpdateMask { path: path.clone() }.into());
        }
        let key = name.to_string();
        let _lock = self.locks.lock(key.clone()).await;
        let mut labels = Labels::from(self.find(&key)?.unwrap_or_default().labels);
        if mask.is_empty() {
            labels = update.clone().without_empty();
        }
        for path in mask {
            labels.apply_path(update, path);
        }
        labels.validate()?;
        let record = Record { name: key.clone(), labels: labels.into() };
        self.put(&key, &record).await?;
        Ok(record)
    }

    /// Removes a record; `false` when there was none.
    pub async fn delete(&self, name: &Namespace) -> Result<bool, Error> {
        let key = name.to_string();
        let _lock = self.locks.lock(key.clone()).await;
        if !self.table.contains(&key)? {
            return Ok(false);
        }
        let mut batch = self.database.batch();
        batch.delete(&self.table, &key);
        batch.commit().await?;
        Ok(true)
    }

    async fn put(&self, key: &String, record: &Record) -> Result<(), Error> {
        let mut batch = self.database.batch();
        batch.put(&self.table, key, record);
        Ok(batch.commit().await?)
    }
}
