//! Sandbox records: the configuration of each sandbox, whether or not it runs.
//!
//! Table `sandboxes`: (namespace, id) → containerd's `Sandbox` message. [`controller`] has the running sandboxes.

pub mod controller;

use std::borrow::Cow;
use std::time::SystemTime;

use gantry_disk::{Database, KeyedLocks, Table};
use gantry_proto::containerd::types::Sandbox;
use gantry_types::filter::{Fields, FilterSet};
use gantry_types::{Labels, Namespace, identifier};

use crate::error::Error;

/// The table's name.
pub const TABLE: &str = "sandboxes";

/// The fields that an update may change; an update without field names changes all of them.
const EVERYTHING: [&str; 4] = ["labels", "extensions", "runtime", "spec"];

type Key = (String, String);

/// The store of sandbox records. Cheap to clone.
#[derive(Clone)]
pub struct Sandboxes {
    database: Database,
    table: Table<Key, Sandbox>,
    locks: KeyedLocks<Key>,
}

/// A record seen by a filter.
struct Filterable<'a>(&'a Sandbox);

impl Fields for Filterable<'_> {
    fn field(&self, path: &[String]) -> Option<Cow<'_, str>> {
        match path.split_first()? {
            (first, []) if first == "id" => Some(self.0.sandbox_id.as_str().into()),
            (first, key) if first == "labels" => {
                self.0.labels.get(&key.join(".")).map(|value| value.as_str().into())
            }
            _ => None,
        }
    }
}

impl Sandboxes {
    /// The store in an open database.
    pub fn new(database: Database) -> Sandboxes {
        let table = database.table(TABLE);
        Sandboxes { database, table, locks: KeyedLocks::new() }
    }

    /// One record.
    pub fn get(&self, namespace: &Namespace, id: &str) -> Result<Sandbox, Error> {
        self.table.get(&key(namespace, id))?.ok_or_else(|| Error::SandboxNotFound(id.to_owned()))
    }

    /// The records of a namespace that pass the filters, by id.
    pub fn list(&self, namespace: &str, filters: &[String]) -> Result<Vec<Sandbox>, Error> {
        let filters = FilterSet::parse(filters)?;
        let records = self.table.scan(namespace)?.into_iter().map(|(_, sandbox)| sandbox);
        Ok(records.filter(|sandbox| filters.matches(&Filterable(sandbox))).collect())
    }

    /// Every namespace that has a record.
    pub fn namespaces(&self) -> Result<Vec<String>, Error> {
        let mut names: Vec<String> =
            self.table.scan_all()?.into_iter().map(|((namespace, _), _)| namespace).collect();
        names.dedup();
        Ok(names)
    }

    /// Adds a record. Returns the stored record.
    pub async fn create(&self, namespace: &Namespace, mut sandbox: Sandbox) -> Result<Sandbox, Error> {
        identifier::validate(&sandbox.sandbox_id)?;
        validate(&sandbox)?;
        sandbox.labels.retain(|_, value| !value.is_empty());
        let now = Some(SystemTime::now().into());
        (sandbox.created_at, sandbox.updated_at) = (now, now);
        let key = key(namespace, &sandbox.sandbox_id);
        let _lock = self.locks.lock(key.clone()).await;
        if self.table.contains(&key)? {
            return Err(Error::SandboxExists(sandbox.sandbox_id));
        }
        self.put(&key, &sandbox).await?;
        Ok(sandbox)
    }

    /// Changes the fields that `fields` names, or every field that may change. Returns the stored record.
    pub async fn update(
        &self,
        namespace: &Namespace,
        update: Sandbox,
        fields: &[String],
    ) -> Result<Sandbox, Error> {
        let key = key(namespace, &update.sandbox_id);
        let _lock = self.locks.lock(key.clone()).await;
        let mut sandbox =
            self.table.get(&key)?.ok_or_else(|| Error::SandboxNotFound(update.sandbox_id.clone()))?;
        if fields.is_empty() {
            EVERYTHING.iter().try_for_each(|field| apply(&mut sandbox, &update, field))?;
        } else {
            fields.iter().try_for_each(|field| apply(&mut sandbox, &update, field))?;
        }
        validate(&sandbox)?;
        sandbox.updated_at = Some(SystemTime::now().into());
        self.put(&key, &sandbox).await?;
        Ok(sandbox)
    }

    /// Removes a record.
    pub async fn delete(&self, namespace: &Namespace, id: &str) -> Result<(), Error> {
        let key = key(namespace, id);
        let _lock = self.locks.lock(key.clone()).await;
        if !self.table.contains(&key)? {
            return Err(Error::SandboxNotFound(id.to_owned()));
        }
        let mut batch = self.database.batch();
        batch.delete(&self.table, &key);
        Ok(batch.commit().await?)
    }

    async fn put(&self, key: &Key, sandbox: &Sandbox) -> Result<(), Error> {
        let mut batch = self.database.batch();
        batch.put(&self.table, key, sandbox);
        Ok(batch.commit().await?)
    }
}

fn key(namespace: &Namespace, id: &str) -> Key {
    (namespace.to_string(), id.to_owned())
}

fn validate(sandbox: &Sandbox) -> Result<(), Error> {
    Labels::from(sandbox.labels.clone()).validate()?;
    if sandbox.extensions.keys().any(String::is_empty) {
        let reason = "an extension has no name".to_owned();
        return Err(Error::InvalidSandbox { id: sandbox.sandbox_id.clone(), reason });
    }
    Ok(())
}

fn apply(stored: &mut Sandbox, update: &Sandbox, field: &str) -> Result<(), Error> {
    match field {
        "runtime" => stored.runtime = update.runtime.clone(),
        "spec" => stored.spec = update.spec.clone(),
        "extensions" => stored.extensions = update.extensions.clone(),
        field => {
            if let Some(name) = field.strip_prefix("extensions.") {
                match update.extensions.get(name) {
                    Some(value) => stored.extensions.insert(name.to_owned(), value.clone()),
                    None => stored.extensions.remove(name),
                };
                return Ok(());
            }
            let mut labels = Labels::from(std::mem::take(&mut stored.labels));
            let applied = labels.apply_path(&Labels::from(update.labels.clone()), field);
            stored.labels = labels.into();
            if !applied {
                return Err(gantry_types::Error::UpdateMask { path: field.to_owned() }.into());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_proto::containerd::types::sandbox::Runtime;

    fn sandbox(id: &str, labels: &[(&str, &str)]) -> Sandbox {
        Sandbox {
            sandbox_id: id.into(),
            runtime: Some(Runtime { name: "io.containerd.gantry.v2".into(), options: None }),
            labels: labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
            ..Default::default()
        }
    }

    #[tokio::test]
    async fn records_are_made_changed_found_and_removed() {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let store = Sandboxes::new(Database::open(folder.path().join("db"), &[TABLE]).unwrap());
        let ns: Namespace = "ns".parse().unwrap();
        let made = store.create(&ns, sandbox("s", &[("a", "1"), ("none", "")])).await.unwrap();
        assert!(made.created_at.is_some() && !made.labels.contains_key("none"));
        assert!(matches!(store.create(&ns, sandbox("s", &[])).await, Err(Error::SandboxExists(_))));
        assert!(matches!(store.create(&ns, sandbox("bad id", &[])).await, Err(Error::Argument(_))));

        let update = Sandbox { runtime: None, ..sandbox("s", &[("a", "2")]) };
        let changed = store.update(&ns, update.clone(), &["labels.a".into()]).await.unwrap();
        assert_eq!((changed.labels["a"].as_str(), changed.runtime.is_some()), ("2", true));
        assert!(store.update(&ns, update.clone(), &["sandboxer".into()]).await.is_err());
        assert!(store.update(&ns, update, &[]).await.unwrap().runtime.is_none());

        let found = |filter: &str| store.list("ns", &[filter.to_owned()]).unwrap().len();
        assert_eq!((found("id==s"), found("labels.a==2"), found("labels.a==1")), (1, 1, 0));
        assert_eq!(store.namespaces().unwrap(), ["ns"]);
        store.delete(&ns, "s").await.unwrap();
        assert!(matches!(store.get(&ns, "s"), Err(Error::SandboxNotFound(_))));
        assert!(matches!(store.delete(&ns, "s").await, Err(Error::SandboxNotFound(_))));
    }
}
