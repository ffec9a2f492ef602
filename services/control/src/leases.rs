//! Leases: what keeps things from being collected while somebody works on them.
//!
//! Tables: `leases`: (namespace, id) → containerd's `Lease` message;
//! `resources`: (namespace, lease, "type key") → containerd's `Resource` message;
//! `losses`: (namespace, service) → when the records were lost for which a lease was made.
//!
//! Adding takes no lock, so that the layers of a pull do not wait for each other.
//! A resource that slips in while its lease is removed is an orphan: it keeps
//! nothing, and goes at the next start or when a lease of that name is made.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use chrono::{DateTime, Utc};
use gantry_api::leases as api;
use gantry_api::wire;
use gantry_disk::{Database, KeyedLocks, Table};
use gantry_failpoint::failpoint;
use gantry_proto::containerd::services::leases::v1::{Lease, Resource};
use gantry_types::{Labels, Namespace, gc};

use crate::error::Error;
use crate::gc::store::Condition;

/// The table of leases.
pub const LEASES: &str = "leases";
/// The table of what they keep.
pub const RESOURCES: &str = "resources";

/// The table of losses that were dealt with.
pub const LOSSES: &str = "losses";

/// The store of leases. Cheap to clone.
#[derive(Clone)]
pub struct Leases {
    database: Database,
    leases: Table<(String, String), Lease>,
    resources: Table<(String, String, String), Resource>,
    losses: Table<(String, String), u64>,
    locks: KeyedLocks<(String, String)>,
}

impl Leases {
    /// The store in an open database.
    pub fn new(database: Database) -> Leases {
        let (leases, resources) = (database.table(LEASES), database.table(RESOURCES));
        let losses = database.table(LOSSES);
        Leases { database, leases, resources, losses, locks: KeyedLocks::new() }
    }

    /// Makes a lease; without an id it gets one.
    pub async fn create(&self, namespace: &Namespace, id: String, labels: Labels) -> Result<Lease, Error> {
        labels.validate()?;
        let id = if id.is_empty() { invent() } else { id };
        let key = (namespace.to_string(), id.clone());
        let _lock = self.locks.lock(key.clone()).await;
        if self.leases.contains(&key)? {
            return Err(Error::LeaseExists(id));
        }
        let lease =
            Lease { id, created_at: Some(SystemTime::now().into()), labels: labels.without_empty().into() };
        let mut batch = self.database.batch();
        for (orphan, _) in self.resources.scan(&key)? {
            batch.delete(&self.resources, &orphan);
        }
        batch.put(&self.leases, &key, &lease);
        batch.commit().await?;
        failpoint!("control.lease.recorded", infallible);
        Ok(lease)
    }

    /// What has become of our own records.
    pub fn condition(&self) -> Condition {
        let (lost_at, made_at) = (self.database.lost_at(), self.database.made_at());
        Condition { lost_at: lost_at.unwrap_or(0), made_at: made_at.unwrap_or(0) }
    }

    /// Whether what was there after a service's loss of records was given a lease.
    pub fn is_kept_since(&self, namespace: &str, service: &str, lost_at: u64) -> Result<bool, Error> {
        let known = self.losses.get(&(namespace.to_owned(), service.to_owned()))?;
        Ok(known.is_some_and(|known| known >= lost_at))
    }

    /// Keeps all this by a lease, as what a service whose records were lost may have referred to. Once: who removes the
    /// lease has decided.
    pub async fn keep_since(
        &self,
        namespace: &str,
        service: &str,
        lost_at: u64,
        resources: impl IntoIterator<Item = Resource>,
    ) -> Result<String, Error> {
        let id = format!("records-lost-{service}-{lost_at}");
        let lease = Lease { id: id.clone(), created_at: Some(SystemTime::now().into()), ..Lease::default() };
        let mut batch = self.database.batch();
        batch.put(&self.leases, &(namespace.to_owned(), id.clone()), &lease);
        for record in resources.into_iter().filter(|record| resource(record).is_ok()) {
            let key = (namespace.to_owned(), id.clone(), name(&record));
            batch.put(&self.resources, &key, &record);
        }
        batch.put(&self.losses, &(namespace.to_owned(), service.to_owned()), &lost_at);
        batch.commit().await?;
        Ok(id)
    }

    /// Removes a lease and what it keeps.
    pub async fn delete(&self, namespace: &str, id: &str) -> Result<(), Error> {
        let key = (namespace.to_owned(), id.to_owned());
        let _lock = self.locks.lock(key.clone()).await;
        self.exists(&key)?;
        let mut batch = self.database.batch();
        batch.delete(&self.leases, &key);
        for (resource, _) in self.resources.scan(&key)? {
            batch.delete(&self.resources, &resource);
        }
        batch.commit().await?;
        failpoint!("control.lease.deleted", infallible);
        Ok(())
    }

    /// The leases of a namespace.
    pub fn list(&self, namespace: &str) -> Result<Vec<Lease>, Error> {
        Ok(self.leases.scan(namespace)?.into_iter().map(|(_, lease)| lease).collect())
    }

    /// Every namespace with a lease in it.
    pub fn namespaces(&self) -> Result<Vec<String>, Error> {
        let mut names: Vec<String> =
            self.leases.scan_all()?.into_iter().map(|((namespace, _), _)| namespace).collect();
        names.dedup();
        Ok(names)
    }

    /// Makes a lease keep something.
    pub async fn add(&self, namespace: &Namespace, id: &str, resource: Resource) -> Result<(), Error> {
        let key = (namespace.to_string(), id.to_owned());
        self.exists(&key)?;
        let record = (key.0.clone(), key.1.clone(), name(&resource));
        if self.resources.contains(&record)? {
            return Ok(());
        }
        let mut batch = self.database.batch();
        batch.put(&self.resources, &record, &resource);
        batch.commit().await?;
        failpoint!("control.lease.added", infallible);
        // A lease removed meanwhile keeps nothing. Under its lock, for it may also have been made again.
        let _lock = self.locks.lock(key.clone()).await;
        if let Err(gone) = self.exists(&key) {
            self.forget(&[record]).await?;
            return Err(gone);
        }
        Ok(())
    }

    /// Makes a lease keep something no longer.
    pub async fn remove(&self, namespace: &Namespace, id: &str, resource: &Resource) -> Result<(), Error> {
        let key = (namespace.to_string(), id.to_owned());
        self.exists(&key)?;
        let mut batch = self.database.batch();
        batch.delete(&self.resources, &(key.0, key.1, name(resource)));
        Ok(batch.commit().await?)
    }

    /// What a lease keeps.
    pub fn resources(&self, namespace: &str, id: &str) -> Result<Vec<Resource>, Error> {
        let key = (namespace.to_owned(), id.to_owned());
        self.exists(&key)?;
        Ok(self.resources.scan(&key)?.into_iter().map(|(_, resource)| resource).collect())
    }

    /// Whether there is such a lease.
    pub fn contains(&self, namespace: &str, id: &str) -> Result<bool, Error> {
        Ok(self.leases.contains(&(namespace.to_owned(), id.to_owned()))?)
    }

    fn exists(&self, key: &(String, String)) -> Result<(), Error> {
        if self.leases.contains(key)? { Ok(()) } else { Err(Error::LeaseNotFound(key.1.clone())) }
    }

    /// The namespaces in which a lease has expired.
    pub fn expired_in(&self, now: SystemTime) -> Result<Vec<String>, Error> {
        let expired = self.leases.scan_all()?.into_iter().filter(|(_, lease)| has_expired(lease, now));
        let mut names: Vec<String> = expired.map(|((namespace, _), _)| namespace).collect();
        names.dedup();
        Ok(names)
    }

    /// Removes the expired leases of a namespace.
    pub async fn expire(&self, namespace: &str, now: SystemTime) -> Result<(), Error> {
        for lease in self.list(namespace)?.iter().filter(|lease| has_expired(lease, now)) {
            match self.delete(namespace, &lease.id).await {
                Ok(()) => tracing::info!(namespace, lease = lease.id, "lease expired"),
                // Somebody was faster.
                Err(Error::LeaseNotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The orphans: records of what leases kept that do not exist.
    pub fn orphans(&self) -> Result<Vec<(String, String, String)>, Error> {
        let mut orphans = Vec::new();
        for (key, _) in self.resources.scan_all()? {
            if !self.contains(&key.0, &key.1)? {
                orphans.push(key);
            }
        }
        Ok(orphans)
    }

    /// Removes orphans, but for those whose lease has been made since they were found.
    pub async fn remove_orphans(&self, orphans: &[(String, String, String)]) -> Result<(), Error> {
        for of_one in orphans.chunk_by(|a, b| (&a.0, &a.1) == (&b.0, &b.1)) {
            let key = (of_one[0].0.clone(), of_one[0].1.clone());
            let _lock = self.locks.lock(key.clone()).await;
            if !self.leases.contains(&key)? {
                self.forget(of_one).await?;
            }
        }
        Ok(())
    }

    async fn forget(&self, resources: &[(String, String, String)]) -> Result<(), Error> {
        let mut batch = self.database.batch();
        for resource in resources {
            batch.delete(&self.resources, resource);
        }
        Ok(batch.commit().await?)
    }
}

fn name(resource: &Resource) -> String {
    format!("{} {}", resource.r#type, resource.id)
}

/// The lease of a record.
pub fn lease(record: Lease) -> api::Lease {
    let created_at = wire::moment(record.created_at.as_ref());
    api::Lease { id: record.id, created_at, labels: record.labels.into() }
}

/// What a record says is kept.
pub fn resource(record: &Resource) -> Result<api::Resource, Error> {
    Ok(api::Resource::parse(&record.r#type, &record.id)?)
}

/// The record that something is kept.
pub fn record(resource: &api::Resource) -> Resource {
    Resource { r#type: resource.kind().to_string(), id: resource.key().to_owned() }
}

fn has_expired(lease: &Lease, now: SystemTime) -> bool {
    let expires = lease.labels.get(gc::EXPIRE).and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    expires.is_some_and(|expires| expires < DateTime::<Utc>::from(now))
}

/// An id as containerd's clients make them: nanoseconds and three random bytes.
fn invent() -> String {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
    let random: [u8; 3] = rand::random();
    format!("{nanos}-{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Leases) {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let database = Database::open(folder.path().join("db"), &[LEASES, RESOURCES, LOSSES]).unwrap();
        (folder, Leases::new(database))
    }

    fn content(id: &str) -> Resource {
        Resource { id: id.into(), r#type: "content".into() }
    }

    #[tokio::test]
    async fn a_lease_keeps_until_it_is_removed() {
        let (_folder, leases) = store();
        let moby = Namespace::moby();
        leases.create(&moby, "l".into(), Labels::new()).await.unwrap();
        assert!(matches!(leases.create(&moby, "l".into(), Labels::new()).await, Err(Error::LeaseExists(_))));
        leases.add(&moby, "l", content("sha256:a")).await.unwrap();
        leases.add(&moby, "l", content("sha256:a")).await.unwrap();
        assert_eq!(leases.resources("moby", "l").unwrap(), [content("sha256:a")]);
        assert!(matches!(leases.add(&moby, "other", content("b")).await, Err(Error::LeaseNotFound(_))));
        leases.delete("moby", "l").await.unwrap();
        assert!(matches!(leases.resources("moby", "l"), Err(Error::LeaseNotFound(_))));
        assert!(leases.orphans().unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_a_lease_keeps_by_now_is_no_orphan() {
        let (_folder, leases) = store();
        let moby = Namespace::moby();
        leases.create(&moby, "l".into(), Labels::new()).await.unwrap();
        leases.add(&moby, "l", content("sha256:a")).await.unwrap();
        let found_before = ("moby".to_owned(), "l".to_owned(), name(&content("sha256:a")));
        leases.remove_orphans(&[found_before]).await.unwrap();
        assert_eq!(leases.resources("moby", "l").unwrap().len(), 1);
    }

    #[tokio::test]
    async fn an_expired_lease_goes() {
        let (_folder, leases) = store();
        let moby = Namespace::moby();
        let labels = Labels::from([(gc::EXPIRE, "2026-01-01T00:00:00Z")]);
        let lease = leases.create(&moby, String::new(), labels).await.unwrap();
        leases.create(&moby, "lasting".into(), Labels::new()).await.unwrap();
        let before = UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        assert!(leases.expired_in(before).unwrap().is_empty());
        assert_eq!(leases.expired_in(SystemTime::now()).unwrap(), ["moby"]);
        leases.expire("moby", SystemTime::now()).await.unwrap();
        assert!(!leases.contains("moby", &lease.id).unwrap());
        assert!(leases.contains("moby", "lasting").unwrap());
    }
}
