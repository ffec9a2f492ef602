//! Collecting and holding, as `gantry_api::gc` promises them.

use gantry_api::Promise;
use gantry_api::gc::{Collect, Hold, Resource, Swept};
use gantry_types::Namespace;

use super::Collector;
use super::schedule::Scheduler;
use super::store::Store;
use crate::error::Error;

/// The collector with its scheduler. Cheap to clone.
#[derive(Clone)]
pub struct Service<S> {
    collector: Collector<S>,
    scheduler: Scheduler<S>,
}

impl<S: Store> Service<S> {
    /// Collections by these.
    pub fn new(collector: Collector<S>, scheduler: Scheduler<S>) -> Service<S> {
        Service { collector, scheduler }
    }
}

impl<S: Store> Promise for Service<S> {
    type Error = Error;
}

impl<S: Store> Collect for Service<S> {
    async fn collect(&self, namespace: Option<&Namespace>) -> Result<Swept, Error> {
        if let Some(namespace) = namespace {
            return self.scheduler.collect(namespace).await;
        }
        let mut all = Swept::default();
        for namespace in self.collector.namespaces().await? {
            all.add(self.scheduler.collect(&namespace).await?);
        }
        Ok(all)
    }
}

impl<S: Store> Hold for Service<S> {
    async fn hold(&self, namespace: &Namespace, resources: Vec<Resource>) -> Result<(), Error> {
        self.collector.hold(namespace, &resources).await
    }
}
