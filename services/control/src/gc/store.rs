//! The stores that are collected, as the collector sees them.

use std::collections::BTreeSet;

use gantry_api::gc::{Collector, Mark, Node, Resource, Swept, client};
use gantry_api::records::{self, Condition};
use gantry_api::{Failure, Peers, Promise};
use gantry_descriptor::{Descriptor, SERVICES};
use gantry_types::Namespace;

use crate::error::Error;

/// A store that is collected, and what is known of it beside its things.
pub trait Store: Collector<Error: Into<Error>> + 'static {
    /// The store's name.
    fn name(&self) -> &'static str;
    /// What has become of its records.
    fn condition(&self) -> impl Future<Output = Result<Condition, Error>> + Send;
    /// Whether things of this type are in this store.
    fn owns(&self, resource: &Resource) -> bool;
}

/// A store in a process of its own. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Remote {
    records: records::Client,
    collector: client::Collector,
}

impl Remote {
    /// The store of a service.
    pub fn new(peers: &Peers, service: &'static Descriptor) -> Remote {
        Remote {
            records: records::Client::new(peers, service.name),
            collector: client::Collector::new(peers, service),
        }
    }

    /// The stores of all services.
    pub fn all(peers: &Peers) -> Vec<Remote> {
        let collecting = SERVICES.into_iter().filter(|service| !service.resources.is_empty());
        collecting.map(|service| Remote::new(peers, service)).collect()
    }
}

impl Store for Remote {
    fn owns(&self, resource: &Resource) -> bool {
        self.collector.service().collects(&resource.kind)
    }

    fn name(&self) -> &'static str {
        self.collector.service().name
    }

    async fn condition(&self) -> Result<Condition, Error> {
        Ok(self.records.condition().await?)
    }
}

impl Promise for Remote {
    type Error = Failure;
}

impl Collector for Remote {
    async fn namespaces(&self) -> Result<BTreeSet<Namespace>, Failure> {
        self.collector.namespaces().await
    }

    async fn begin(&self, namespace: &Namespace) -> Result<Mark, Failure> {
        self.collector.begin(namespace).await
    }

    async fn scan(&self, namespace: &Namespace) -> Result<Vec<Node>, Failure> {
        self.collector.scan(namespace).await
    }

    async fn sweep(
        &self,
        namespace: &Namespace,
        mark: Mark,
        unreached: Vec<Resource>,
    ) -> Result<Swept, Failure> {
        self.collector.sweep(namespace, mark, unreached).await
    }

    async fn touch(&self, namespace: &Namespace, resources: Vec<Resource>) -> Result<Vec<Resource>, Failure> {
        self.collector.touch(namespace, resources).await
    }
}
