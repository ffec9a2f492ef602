//! A fake of leases, by namespace. It collects nothing: see [`Collector`](crate::Collector).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use gantry_api::leases::{Collect, Inspect, Keep, Lease, Manage, Resource, server};
use gantry_api::{Promise, gc as collected};
use gantry_rpc::Code;
use gantry_types::filter::FilterSet;
use gantry_types::{Labels, Namespace, gc};
use parking_lot::Mutex;
use tonic::service::Routes;

use crate::Refused;

/// The leases of a control service. Clones share their state.
#[derive(Debug, Clone, Default)]
pub struct Leases(Arc<Mutex<BTreeMap<(Namespace, String), Kept>>>);

#[derive(Debug)]
struct Kept {
    lease: Lease,
    resources: BTreeSet<Resource>,
}

impl Leases {
    /// The gRPC services of leases.
    pub fn routes(&self) -> Routes {
        Routes::new(server::service(self.clone()))
    }

    /// All leases of all namespaces.
    pub fn all(&self) -> Vec<Lease> {
        self.edit(|leases| leases.values().map(|kept| kept.lease.clone()).collect())
    }

    /// What a lease keeps; nothing if it does not exist.
    pub fn kept(&self, namespace: &Namespace, lease: &str) -> Vec<Resource> {
        let kept = self.of(namespace, lease, |kept| kept.resources.iter().cloned().collect());
        kept.unwrap_or_default()
    }

    /// Deletes expired leases.
    pub(crate) fn expire(&self, namespace: &Namespace, now: SystemTime) {
        let expired = |kept: &Kept| gc::has_expired(&kept.lease.labels, now);
        self.edit(|leases| leases.retain(|(of, _), kept| of != namespace || !expired(kept)));
    }

    /// Calls `f` with the resources that are kept with what they refer to, and those that are kept alone. Leases do
    /// not change meanwhile.
    pub(crate) fn with_kept<T>(
        &self,
        namespace: &Namespace,
        look: impl FnOnce(Vec<collected::Resource>, Vec<collected::Resource>) -> T,
    ) -> T {
        self.edit(|leases| {
            let (mut deep, mut flat) = (Vec::new(), Vec::new());
            for (_, kept) in leases.iter().filter(|((of, _), _)| of == namespace) {
                let is_flat = kept.lease.labels.contains_key(gc::FLAT);
                let list = if is_flat { &mut flat } else { &mut deep };
                list.extend(kept.resources.iter().map(collected::Resource::from));
            }
            look(deep, flat)
        })
    }

    fn edit<T>(&self, edit: impl FnOnce(&mut BTreeMap<(Namespace, String), Kept>) -> T) -> T {
        edit(&mut self.0.lock())
    }

    fn of<T>(
        &self,
        namespace: &Namespace,
        lease: &str,
        edit: impl FnOnce(&mut Kept) -> T,
    ) -> Result<T, Refused> {
        self.edit(|leases| leases.get_mut(&(namespace.clone(), lease.to_owned())).map(edit))
            .ok_or_else(|| Refused::new(Code::NotFound, lease, "no such lease"))
    }
}

impl Promise for Leases {
    type Error = Refused;
}

impl Inspect for Leases {
    async fn list(&self, namespace: &Namespace, filters: &FilterSet) -> Result<Vec<Lease>, Refused> {
        Ok(self.edit(|leases| {
            let of_namespace = leases.iter().filter(|((of, _), _)| of == namespace);
            of_namespace
                .map(|(_, kept)| &kept.lease)
                .filter(|lease| filters.matches(*lease))
                .cloned()
                .collect()
        }))
    }

    async fn resources(&self, namespace: &Namespace, lease: &str) -> Result<Vec<Resource>, Refused> {
        self.of(namespace, lease, |kept| kept.resources.iter().cloned().collect())
    }
}

impl Manage for Leases {
    async fn create(
        &self,
        namespace: &Namespace,
        id: Option<&str>,
        labels: Labels,
    ) -> Result<Lease, Refused> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        self.edit(|leases| {
            let id = id
                .map_or_else(|| format!("invented-{}", NEXT.fetch_add(1, Ordering::Relaxed)), str::to_owned);
            labels.validate().map_err(|_| Refused::new(Code::InvalidArgument, &id, "a label is too long"))?;
            let key = (namespace.clone(), id.clone());
            if leases.contains_key(&key) {
                return Err(Refused::new(Code::AlreadyExists, id, "already exists"));
            }
            let lease = Lease { id, created_at: SystemTime::now(), labels: labels.without_empty() };
            leases.insert(key, Kept { lease: lease.clone(), resources: BTreeSet::new() });
            Ok(lease)
        })
    }

    async fn delete(&self, namespace: &Namespace, lease: &str, _: Collect) -> Result<(), Refused> {
        let removed = self.edit(|leases| leases.remove(&(namespace.clone(), lease.to_owned())));
        removed.map(drop).ok_or_else(|| Refused::new(Code::NotFound, lease, "no such lease"))
    }
}

impl Keep for Leases {
    async fn add(&self, namespace: &Namespace, lease: &str, resource: &Resource) -> Result<(), Refused> {
        self.of(namespace, lease, |kept| {
            kept.resources.insert(resource.clone());
        })
    }

    async fn remove(&self, namespace: &Namespace, lease: &str, resource: &Resource) -> Result<(), Refused> {
        self.of(namespace, lease, |kept| {
            kept.resources.remove(resource);
        })
    }
}
