//! The stores that are collected, as the collector sees them.

use std::time::Duration;

use gantry_api::Peers;
use gantry_descriptor::{Descriptor, SERVICES};
use gantry_proto::gantry::gc::v1 as pb;
use gantry_proto::gantry::records::v1::ConditionRequest;
use tonic::Status;

use super::Outcome;
use super::graph::{Node, Resource};
use crate::error::Error;

/// What has become of a service's records, in seconds since 1970; 0: never, or not known.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// Some were lost that could not be brought back.
    pub lost_at: u64,
    /// The database was made.
    pub made_at: u64,
}

/// A store whose things can be collected. The contract is that of `gantry.gc.v1.Collector`.
pub trait Store: Send + Sync + 'static {
    /// The store's name.
    fn name(&self) -> &'static str;
    /// What has become of its records.
    fn condition(&self) -> impl Future<Output = Result<Condition, Error>> + Send;
    /// Whether things of this type are in this store.
    fn owns(&self, resource: &Resource) -> bool;
    /// Every namespace in which the store has something.
    fn namespaces(&self) -> impl Future<Output = Result<Vec<String>, Error>> + Send;
    /// Begins a collection; the store's mark of now.
    fn begin(&self, namespace: &str) -> impl Future<Output = Result<u64, Error>> + Send;
    /// Everything in the namespace, with what keeps it.
    fn scan(&self, namespace: &str) -> impl Future<Output = Result<Vec<Node>, Error>> + Send;
    /// Deletes what was not made or touched since the mark.
    fn sweep(
        &self,
        namespace: &str,
        mark: u64,
        doomed: Vec<Resource>,
    ) -> impl Future<Output = Result<Outcome, Error>> + Send;
    /// Stamps as used now; those that do not exist.
    fn touch(
        &self,
        namespace: &str,
        resources: Vec<Resource>,
    ) -> impl Future<Output = Result<Vec<Resource>, Error>> + Send;
}

/// How long a store may take for what it has in memory, and for what it must read or delete.
const SHORT: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(120);

/// A store in a process of its own.
#[derive(Debug, Clone)]
pub struct Remote {
    peers: Peers,
    service: &'static Descriptor,
}

impl Remote {
    /// All that there are.
    pub fn all(peers: &Peers) -> Vec<Remote> {
        let collecting = SERVICES.into_iter().filter(|service| !service.resources.is_empty());
        collecting.map(|service| Remote { peers: peers.clone(), service }).collect()
    }

    async fn within<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Error> {
        let late = || Status::deadline_exceeded(format!("no answer within {} s", limit.as_secs()));
        tokio::time::timeout(limit, call)
            .await
            .unwrap_or_else(|_| Err(late()))
            .map_err(Error::peer(self.service.name))
    }
}

impl Store for Remote {
    fn owns(&self, resource: &Resource) -> bool {
        self.service.collects(&resource.kind)
    }

    fn name(&self) -> &'static str {
        self.service.name
    }

    async fn condition(&self) -> Result<Condition, Error> {
        let mut client = self.peers.records(self.service.name);
        let condition = async {
            match client.condition(ConditionRequest {}).await {
                // It keeps no such records.
                Err(status) if status.code() == tonic::Code::Unimplemented => Ok(Condition::default()),
                answer => {
                    let answer = answer?.into_inner();
                    Ok(Condition { lost_at: answer.lost_at, made_at: answer.made_at })
                }
            }
        };
        self.within(SHORT, condition).await
    }

    async fn namespaces(&self) -> Result<Vec<String>, Error> {
        let mut client = self.peers.collector(self.service.name);
        let answer = self.within(SHORT, client.namespaces(pb::NamespacesRequest {})).await?;
        Ok(answer.into_inner().namespaces)
    }

    async fn begin(&self, namespace: &str) -> Result<u64, Error> {
        let mut client = self.peers.collector(self.service.name);
        let request = pb::BeginRequest { namespace: namespace.to_owned() };
        Ok(self.within(SHORT, client.begin(request)).await?.into_inner().mark)
    }

    async fn scan(&self, namespace: &str) -> Result<Vec<Node>, Error> {
        let mut client = self.peers.collector(self.service.name);
        let request = pb::ScanRequest { namespace: namespace.to_owned() };
        let scan = async {
            let mut blocks = client.scan(request).await?.into_inner();
            let mut nodes = Vec::new();
            while let Some(block) = blocks.message().await? {
                nodes.extend(block.nodes.into_iter().filter_map(node));
            }
            Ok(nodes)
        };
        self.within(LONG, scan).await
    }

    async fn sweep(&self, namespace: &str, mark: u64, doomed: Vec<Resource>) -> Result<Outcome, Error> {
        let mut client = self.peers.collector(self.service.name);
        let resources = doomed.into_iter().map(to_proto).collect();
        let request = pb::SweepRequest { namespace: namespace.to_owned(), mark, resources };
        let answer = self.within(LONG, client.sweep(request)).await?.into_inner();
        let removed = answer.removed.into_iter().map(from_proto).collect();
        Ok(Outcome { removed, freed: answer.freed_bytes })
    }

    async fn touch(&self, namespace: &str, resources: Vec<Resource>) -> Result<Vec<Resource>, Error> {
        let mut client = self.peers.collector(self.service.name);
        let resources = resources.into_iter().map(to_proto).collect();
        let request = pb::TouchRequest { namespace: namespace.to_owned(), resources };
        let answer = self.within(SHORT, client.touch(request)).await?.into_inner();
        Ok(answer.missing.into_iter().map(from_proto).collect())
    }
}

/// From the wire.
pub fn from_proto(resource: pb::Resource) -> Resource {
    Resource { kind: resource.r#type, key: resource.key }
}

/// To the wire.
pub fn to_proto(resource: Resource) -> pb::Resource {
    pb::Resource { r#type: resource.kind, key: resource.key }
}

fn node(node: pb::Node) -> Option<Node> {
    Some(Node {
        resource: from_proto(node.resource?),
        root: node.root,
        references: node.references.into_iter().map(from_proto).collect(),
        kept_by: node.kept_by.into_iter().map(from_proto).collect(),
        flat: node.flat,
    })
}
