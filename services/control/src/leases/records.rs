//! The records of leases, which keep resources from being collected while an operation uses them.
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
use gantry_api::fsck::{Check, Depth, Repair, Stray};
use gantry_api::leases::{Lease, Resource};
use gantry_api::records::Condition;
use gantry_api::{Promise, gc as collected, wire};
use gantry_disk::{Database, KeyedLocks, Table};
use gantry_failpoint::failpoint;
use gantry_proto::containerd::services::leases::v1 as pb;
use gantry_types::{Labels, Namespace, gc};

use crate::error::Error;

/// The table of leases.
pub const LEASES: &str = "leases";
/// The table of what they keep.
pub const RESOURCES: &str = "resources";

/// The table of losses that were dealt with.
pub const LOSSES: &str = "losses";

/// A lease: its namespace and id.
type Key = (Namespace, String);
/// What a lease keeps: the lease's key, the thing's type and key.
pub type Kept = (Namespace, String, String);

/// The store of leases. Cheap to clone.
#[derive(Clone)]
pub struct Records {
    database: Database,
    leases: Table<Key, pb::Lease>,
    resources: Table<Kept, pb::Resource>,
    losses: Table<(Namespace, String), u64>,
    locks: KeyedLocks<Key>,
}

impl Records {
    /// The store in an open database.
    pub fn new(database: Database) -> Records {
        let (leases, resources) = (database.table(LEASES), database.table(RESOURCES));
        let losses = database.table(LOSSES);
        Records { database, leases, resources, losses, locks: KeyedLocks::new() }
    }

    /// Makes a lease; without an id it gets one.
    pub async fn create(&self, namespace: &Namespace, id: String, labels: Labels) -> Result<Lease, Error> {
        labels.validate()?;
        let id = if id.is_empty() { invent() } else { id };
        let key = (namespace.clone(), id.clone());
        let _lock = self.locks.lock(key.clone()).await;
        if self.leases.contains(&key)? {
            return Err(Error::LeaseExists(id));
        }
        let lease = pb::Lease {
            id,
            created_at: Some(SystemTime::now().into()),
            labels: labels.without_empty().into(),
        };
        let mut batch = self.database.batch();
        for (orphan, _) in self.resources.scan(&key)? {
            batch.delete(&self.resources, &orphan);
        }
        batch.put(&self.leases, &key, &lease);
        batch.commit().await?;
        failpoint!("control.lease.recorded", infallible);
        Ok(read(lease))
    }

    /// What has become of our own records.
    pub fn condition(&self) -> Condition {
        let (lost_at, made_at) = (self.database.lost_at(), self.database.made_at());
        Condition { lost_at: lost_at.unwrap_or(0), made_at: made_at.unwrap_or(0) }
    }

    /// Whether what was there after a service's loss of records was given a lease.
    pub fn is_kept_since(&self, namespace: &Namespace, service: &str, lost_at: u64) -> Result<bool, Error> {
        let known = self.losses.get(&(namespace.clone(), service.to_owned()))?;
        Ok(known.is_some_and(|known| known >= lost_at))
    }

    /// Makes a lease that keeps all this, because a service whose records were lost may have referred to it. It is
    /// made once for each loss: if a user removes the lease, no other is made.
    pub async fn keep_since(
        &self,
        namespace: &Namespace,
        service: &str,
        lost_at: u64,
        resources: impl IntoIterator<Item = collected::Resource>,
    ) -> Result<String, Error> {
        let id = format!("records-lost-{service}-{lost_at}");
        let created_at = Some(SystemTime::now().into());
        let lease = pb::Lease { id: id.clone(), created_at, ..pb::Lease::default() };
        let mut batch = self.database.batch();
        batch.put(&self.leases, &(namespace.clone(), id.clone()), &lease);
        // What no lease can keep is a root, or belongs to one.
        for resource in resources.into_iter().filter_map(|it| Resource::parse(&it.kind, &it.key).ok()) {
            let key = (namespace.clone(), id.clone(), name(&resource));
            batch.put(&self.resources, &key, &record(&resource));
        }
        batch.put(&self.losses, &(namespace.clone(), service.to_owned()), &lost_at);
        batch.commit().await?;
        Ok(id)
    }

    /// Removes a lease and what it keeps.
    pub async fn delete(&self, namespace: &Namespace, id: &str) -> Result<(), Error> {
        let key = (namespace.clone(), id.to_owned());
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
    pub fn list(&self, namespace: &Namespace) -> Result<Vec<Lease>, Error> {
        Ok(self.leases.scan(namespace)?.into_iter().map(|(_, lease)| read(lease)).collect())
    }

    /// Every namespace with a lease in it.
    pub fn namespaces(&self) -> Result<Vec<Namespace>, Error> {
        let mut names: Vec<Namespace> =
            self.leases.scan_all()?.into_iter().map(|((namespace, _), _)| namespace).collect();
        names.dedup();
        Ok(names)
    }

    /// Makes a lease keep something.
    pub async fn add(&self, namespace: &Namespace, id: &str, resource: &Resource) -> Result<(), Error> {
        let key = (namespace.clone(), id.to_owned());
        self.exists(&key)?;
        let kept = (key.0.clone(), key.1.clone(), name(resource));
        if self.resources.contains(&kept)? {
            return Ok(());
        }
        let mut batch = self.database.batch();
        batch.put(&self.resources, &kept, &record(resource));
        batch.commit().await?;
        failpoint!("control.lease.added", infallible);
        // A lease removed meanwhile keeps nothing. Under its lock, for it may also have been made again.
        let _lock = self.locks.lock(key.clone()).await;
        if let Err(gone) = self.exists(&key) {
            self.forget(&[kept]).await?;
            return Err(gone);
        }
        Ok(())
    }

    /// Makes a lease keep something no longer.
    pub async fn remove(&self, namespace: &Namespace, id: &str, resource: &Resource) -> Result<(), Error> {
        let key = (namespace.clone(), id.to_owned());
        self.exists(&key)?;
        let mut batch = self.database.batch();
        batch.delete(&self.resources, &(key.0, key.1, name(resource)));
        Ok(batch.commit().await?)
    }

    /// What a lease keeps.
    pub fn resources(&self, namespace: &Namespace, id: &str) -> Result<Vec<Resource>, Error> {
        let key = (namespace.clone(), id.to_owned());
        self.exists(&key)?;
        let kept = self.resources.scan(&key)?.into_iter();
        kept.map(|(_, record)| Ok(Resource::parse(&record.r#type, &record.id)?)).collect()
    }

    /// Whether there is such a lease.
    pub fn contains(&self, namespace: &Namespace, id: &str) -> Result<bool, Error> {
        Ok(self.leases.contains(&(namespace.clone(), id.to_owned()))?)
    }

    fn exists(&self, key: &Key) -> Result<(), Error> {
        if self.leases.contains(key)? { Ok(()) } else { Err(Error::LeaseNotFound(key.1.clone())) }
    }

    /// The namespaces in which a lease has expired.
    pub fn expired_in(&self, now: SystemTime) -> Result<Vec<Namespace>, Error> {
        let leases = self.leases.scan_all()?.into_iter().map(|(key, lease)| (key, read(lease)));
        let expired = leases.filter(|(_, lease)| gc::has_expired(&lease.labels, now));
        let mut names: Vec<Namespace> = expired.map(|((namespace, _), _)| namespace).collect();
        names.dedup();
        Ok(names)
    }

    /// Removes the expired leases of a namespace.
    pub async fn expire(&self, namespace: &Namespace, now: SystemTime) -> Result<(), Error> {
        for lease in self.list(namespace)?.iter().filter(|lease| gc::has_expired(&lease.labels, now)) {
            match self.delete(namespace, &lease.id).await {
                Ok(()) => tracing::info!(%namespace, lease = lease.id, "lease expired"),
                // Another caller was faster.
                Err(Error::LeaseNotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The orphans: records of what leases kept that do not exist.
    pub fn orphans(&self) -> Result<Vec<Kept>, Error> {
        let mut orphans = Vec::new();
        for (key, _) in self.resources.scan_all()? {
            if !self.contains(&key.0, &key.1)? {
                orphans.push(key);
            }
        }
        Ok(orphans)
    }

    /// Removes orphans, but for those whose lease has been made since they were found.
    pub async fn remove_orphans(&self, orphans: &[Kept]) -> Result<(), Error> {
        for of_one in orphans.chunk_by(|a, b| (&a.0, &a.1) == (&b.0, &b.1)) {
            let key = (of_one[0].0.clone(), of_one[0].1.clone());
            let _lock = self.locks.lock(key.clone()).await;
            if !self.leases.contains(&key)? {
                self.forget(of_one).await?;
            }
        }
        Ok(())
    }

    async fn forget(&self, resources: &[Kept]) -> Result<(), Error> {
        let mut batch = self.database.batch();
        for resource in resources {
            batch.delete(&self.resources, resource);
        }
        Ok(batch.commit().await?)
    }
}

impl Promise for Records {
    type Error = Error;
}

impl Check for Records {
    /// Records of what leases keep, whose lease does not exist.
    async fn check(&self, repair: Repair, _: Depth) -> Result<Vec<Stray>, Error> {
        let orphans = self.orphans()?;
        if repair == Repair::Yes {
            self.remove_orphans(&orphans).await?;
        }
        let stray = |(namespace, lease, resource): Kept| Stray {
            kind: "record".to_owned(),
            name: format!("{namespace}/{lease}"),
            detail: format!("a lease that does not exist keeps {resource}"),
            repaired: repair == Repair::Yes,
        };
        Ok(orphans.into_iter().map(stray).collect())
    }
}

fn name(resource: &Resource) -> String {
    format!("{} {}", resource.kind(), resource.key())
}

/// The lease of a record.
fn read(record: pb::Lease) -> Lease {
    let created_at = wire::moment(record.created_at.as_ref());
    Lease { id: record.id, created_at, labels: record.labels.into() }
}

/// The record that something is kept.
fn record(resource: &Resource) -> pb::Resource {
    pb::Resource { r#type: resource.kind().to_string(), id: resource.key().to_owned() }
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

    fn store() -> (tempfile::TempDir, Records) {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let database = Database::open(folder.path().join("db"), &[LEASES, RESOURCES, LOSSES]).unwrap();
        (folder, Records::new(database))
    }

    fn content(id: &str) -> Resource {
        Resource::parse("content", id).unwrap()
    }

    #[tokio::test]
    async fn a_lease_keeps_until_it_is_removed() {
        let (_folder, leases) = store();
        let moby = Namespace::moby();
        leases.create(&moby, "l".into(), Labels::new()).await.unwrap();
        assert!(matches!(leases.create(&moby, "l".into(), Labels::new()).await, Err(Error::LeaseExists(_))));
        leases.add(&moby, "l", &content("sha256:a")).await.unwrap();
        leases.add(&moby, "l", &content("sha256:a")).await.unwrap();
        assert_eq!(leases.resources(&moby, "l").unwrap(), [content("sha256:a")]);
        assert!(matches!(leases.add(&moby, "other", &content("b")).await, Err(Error::LeaseNotFound(_))));
        leases.delete(&moby, "l").await.unwrap();
        assert!(matches!(leases.resources(&moby, "l"), Err(Error::LeaseNotFound(_))));
        assert!(leases.orphans().unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_a_lease_keeps_by_now_is_no_orphan() {
        let (_folder, leases) = store();
        let moby = Namespace::moby();
        leases.create(&moby, "l".into(), Labels::new()).await.unwrap();
        leases.add(&moby, "l", &content("sha256:a")).await.unwrap();
        let found_before = (moby.clone(), "l".to_owned(), name(&content("sha256:a")));
        leases.remove_orphans(&[found_before]).await.unwrap();
        assert_eq!(leases.resources(&moby, "l").unwrap().len(), 1);
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
        assert_eq!(leases.expired_in(SystemTime::now()).unwrap(), std::slice::from_ref(&moby));
        leases.expire(&moby, SystemTime::now()).await.unwrap();
        assert!(!leases.contains(&moby, &lease.id).unwrap());
        assert!(leases.contains(&moby, "lasting").unwrap());
    }
}
