//! The clients of the stores and of the collector.

use std::collections::BTreeSet;

use gantry_descriptor::Descriptor;
use gantry_proto::gantry::gc::v1 as pb;
use gantry_types::Namespace;

use super::{Collect, Hold, Mark, Node, Resource, Swept, convert};
use crate::call::Caller;
use crate::{Failure, Peers, Promise};

client!(
    /// A client of control's collector. Cheap to clone.
    "control"
);

impl Hold for Client {
    async fn hold(&self, namespace: &Namespace, resources: Vec<Resource>) -> Result<(), Failure> {
        let resources = convert::resources(resources);
        let request = pb::HoldRequest { namespace: namespace.to_string(), resources };
        self.caller.ask("hold what is referred to", self.peers.gc().hold(request)).await.map(drop)
    }
}

impl Collect for Client {
    async fn collect(&self, namespace: Option<&Namespace>) -> Result<Swept, Failure> {
        let namespace = namespace.map(ToString::to_string).unwrap_or_default();
        let request = pb::CollectRequest { namespace };
        let answer = self.caller.ask("collect garbage", self.peers.gc().collect(request)).await?;
        Ok(convert::swept(answer.removed, answer.freed_bytes))
    }
}

/// A client of one store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Collector {
    peers: Peers,
    service: &'static Descriptor,
    caller: Caller,
}

impl Collector {
    /// The store of a service among `peers`.
    pub fn new(peers: &Peers, service: &'static Descriptor) -> Self {
        Self { peers: peers.clone(), service, caller: Caller::new(service.name) }
    }

    /// The service of the store.
    pub fn service(&self) -> &'static Descriptor {
        self.service
    }
}

impl Promise for Collector {
    type Error = Failure;
}

impl super::Collector for Collector {
    async fn namespaces(&self) -> Result<BTreeSet<Namespace>, Failure> {
        const CALL: &str = "tell where it has something";
        let mut rpc = self.peers.collector(self.service.name);
        let answer = self.caller.ask(CALL, rpc.namespaces(pb::NamespacesRequest {})).await?;
        let namespaces = answer.namespaces.iter().map(|name| name.parse()).collect::<Result<_, _>>();
        namespaces.map_err(self.caller.garbled(CALL))
    }

    async fn begin(&self, namespace: &Namespace) -> Result<Mark, Failure> {
        let mut rpc = self.peers.collector(self.service.name);
        let request = pb::BeginRequest { namespace: namespace.to_string() };
        Ok(Mark(self.caller.ask("begin a collection", rpc.begin(request)).await?.mark))
    }

    async fn scan(&self, namespace: &Namespace) -> Result<Vec<Node>, Failure> {
        const CALL: &str = "tell what it has";
        let mut rpc = self.peers.collector(self.service.name);
        let request = pb::ScanRequest { namespace: namespace.to_string() };
        let mut blocks = self.caller.ask(CALL, rpc.scan(request)).await?;
        let mut nodes = Vec::new();
        while let Some(block) = self.caller.hear(CALL, blocks.message()).await? {
            for node in block.nodes {
                nodes.push(convert::parse_node(node).map_err(self.caller.garbled(CALL))?);
            }
        }
        Ok(nodes)
    }

    async fn sweep(
        &self,
        namespace: &Namespace,
        mark: Mark,
        unreached: Vec<Resource>,
    ) -> Result<Swept, Failure> {
        let mut rpc = self.peers.collector(self.service.name);
        let resources = convert::resources(unreached);
        let request = pb::SweepRequest { namespace: namespace.to_string(), mark: mark.0, resources };
        let answer = self.caller.ask("sweep", rpc.sweep(request)).await?;
        Ok(convert::swept(answer.removed, answer.freed_bytes))
    }

    async fn touch(&self, namespace: &Namespace, resources: Vec<Resource>) -> Result<Vec<Resource>, Failure> {
        let mut rpc = self.peers.collector(self.service.name);
        let resources = convert::resources(resources);
        let request = pb::TouchRequest { namespace: namespace.to_string(), resources };
        let answer = self.caller.ask("touch what is referred to", rpc.touch(request)).await?;
        Ok(convert::parse_resources(answer.missing))
    }
}
