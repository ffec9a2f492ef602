//! Leases as `gantry_api::leases` promises them: the records, and what collections have to know of their changes.

mod records;

use gantry_api::Promise;
use gantry_api::gc;
use gantry_api::leases::{Collect, Inspect, Keep, Lease, Manage, Resource};
use gantry_types::filter::FilterSet;
use gantry_types::{Labels, Namespace};

use crate::error::Error;
use crate::gc::Collector;
use crate::gc::schedule::Scheduler;
use crate::gc::store::Store;

pub use records::{LEASES, LOSSES, RESOURCES, Records};

/// The leases of this Gantry. Cheap to clone.
#[derive(Clone)]
pub struct Leases<S> {
    records: Records,
    collector: Collector<S>,
    scheduler: Scheduler<S>,
}

impl<S: Store> Leases<S> {
    /// Leases on record, for this collector.
    pub fn new(records: Records, collector: Collector<S>, scheduler: Scheduler<S>) -> Leases<S> {
        Leases { records, collector, scheduler }
    }
}

impl<S: Store> Promise for Leases<S> {
    type Error = Error;
}

impl<S: Store> Inspect for Leases<S> {
    async fn list(&self, namespace: &Namespace, filters: &FilterSet) -> Result<Vec<Lease>, Error> {
        let mut leases = self.records.list(namespace)?;
        leases.retain(|lease| filters.matches(lease));
        Ok(leases)
    }

    async fn resources(&self, namespace: &Namespace, lease: &str) -> Result<Vec<Resource>, Error> {
        self.records.resources(namespace, lease)
    }
}

impl<S: Store> Manage for Leases<S> {
    async fn create(&self, namespace: &Namespace, id: Option<&str>, labels: Labels) -> Result<Lease, Error> {
        let id = id.unwrap_or_default().to_owned();
        self.records.create(namespace, id, labels).await
    }

    async fn delete(&self, namespace: &Namespace, lease: &str, collect: Collect) -> Result<(), Error> {
        self.records.delete(namespace, lease).await?;
        match collect {
            Collect::Now => self.scheduler.collect(namespace).await.map(drop),
            Collect::Later => {
                self.scheduler.trigger(namespace);
                Ok(())
            }
        }
    }
}

impl<S: Store> Keep for Leases<S> {
    async fn add(&self, namespace: &Namespace, lease: &str, resource: &Resource) -> Result<(), Error> {
        self.records.add(namespace, lease, resource).await?;
        // The record is there for the next collection; this tells the one under way.
        self.collector.protect(namespace, &[gc::Resource::from(resource)]).await;
        Ok(())
    }

    async fn remove(&self, namespace: &Namespace, lease: &str, resource: &Resource) -> Result<(), Error> {
        self.records.remove(namespace, lease, resource).await?;
        self.scheduler.trigger(namespace);
        Ok(())
    }
}
