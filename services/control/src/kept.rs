//! Leases as `gantry_api::leases` promises them: the records, and what collections have to know of their changes.

use gantry_api::Promise;
use gantry_api::leases::{Collect, Inspect, Keep, Lease, Manage, Resource};
use gantry_types::filter::FilterSet;
use gantry_types::{Labels, Namespace};

use crate::error::Error;
use crate::gc::Collector;
use crate::gc::graph;
use crate::gc::schedule::Scheduler;
use crate::gc::store::Store;
use crate::leases::{self, Leases};

/// Leases that keep something. Cheap to clone.
#[derive(Clone)]
pub struct Kept<S> {
    leases: Leases,
    collector: Collector<S>,
    scheduler: Scheduler<S>,
}

impl<S: Store> Kept<S> {
    /// These leases, for this collector.
    pub fn new(leases: Leases, collector: Collector<S>, scheduler: Scheduler<S>) -> Kept<S> {
        Kept { leases, collector, scheduler }
    }
}

impl<S: Store> Promise for Kept<S> {
    type Error = Error;
}

impl<S: Store> Inspect for Kept<S> {
    async fn list(&self, namespace: &Namespace, filters: &FilterSet) -> Result<Vec<Lease>, Error> {
        let leases = self.leases.list(namespace.as_str())?.into_iter().map(leases::lease);
        Ok(leases.filter(|lease| filters.matches(lease)).collect())
    }

    async fn resources(&self, namespace: &Namespace, lease: &str) -> Result<Vec<Resource>, Error> {
        let records = self.leases.resources(namespace.as_str(), lease)?;
        records.iter().map(leases::resource).collect()
    }
}

impl<S: Store> Manage for Kept<S> {
    async fn create(&self, namespace: &Namespace, id: Option<&str>, labels: Labels) -> Result<Lease, Error> {
        let id = id.unwrap_or_default().to_owned();
        self.leases.create(namespace, id, labels).await.map(leases::lease)
    }

    async fn delete(&self, namespace: &Namespace, lease: &str, collect: Collect) -> Result<(), Error> {
        self.leases.delete(namespace.as_str(), lease).await?;
        match collect {
            Collect::Now => self.scheduler.collect(namespace.as_str()).await.map(drop),
            Collect::Later => {
                self.scheduler.trigger(namespace.as_str());
                Ok(())
            }
        }
    }
}

impl<S: Store> Keep for Kept<S> {
    async fn add(&self, namespace: &Namespace, lease: &str, resource: &Resource) -> Result<(), Error> {
        self.leases.add(namespace, lease, leases::record(resource)).await?;
        // The record is there for the next collection; this tells the one under way.
        let held = graph::Resource::new(&resource.kind().to_string(), resource.key());
        self.collector.protect(namespace.as_str(), &[held]).await;
        Ok(())
    }

    async fn remove(&self, namespace: &Namespace, lease: &str, resource: &Resource) -> Result<(), Error> {
        self.leases.remove(namespace, lease, &leases::record(resource)).await?;
        self.scheduler.trigger(namespace.as_str());
        Ok(())
    }
}
