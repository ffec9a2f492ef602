//! A fake of garbage collection: collects the blobs of a fake content, except those that the leases of a fake control
//! keep.

use std::time::SystemTime;

use gantry_api::Promise;
use gantry_api::gc::{Collect, Collector as _, Hold, Resource, Swept, server};
use gantry_rpc::Code;
use gantry_types::Namespace;
use tonic::service::Routes;

use crate::{Content, Leases, Refused};

/// The collector of a control service. Clones share their state.
#[derive(Debug, Clone, Default)]
pub struct Collector {
    content: Content,
    leases: Leases,
}

impl Collector {
    /// Collects this content, except what these leases keep.
    pub fn new(content: Content, leases: Leases) -> Self {
        Self { content, leases }
    }

    /// The gRPC services of the collector.
    pub fn routes(&self) -> Routes {
        Routes::new(server::service(self.clone()))
    }

    /// Collects in one step: no resource is made or leased meanwhile.
    fn collect_in(&self, namespace: &Namespace) -> Swept {
        self.leases.expire(namespace, SystemTime::now());
        self.leases.with_kept(namespace, |deep, flat| self.content.collect(namespace, deep, flat))
    }
}

impl Promise for Collector {
    type Error = Refused;
}

impl Collect for Collector {
    async fn collect(&self, namespace: Option<&Namespace>) -> Result<Swept, Refused> {
        if let Some(namespace) = namespace {
            return Ok(self.collect_in(namespace));
        }
        let mut all = Swept::default();
        for namespace in self.content.namespaces().await? {
            all.add(self.collect_in(&namespace));
        }
        Ok(all)
    }
}

impl Hold for Collector {
    /// No collection is ever in progress.
    async fn hold(&self, namespace: &Namespace, resources: Vec<Resource>) -> Result<(), Refused> {
        let known = |resource: &Resource| matches!(resource.kind.as_str(), "content" | "ingests");
        if let Some(odd) = resources.iter().find(|resource| !known(resource)) {
            return Err(Refused::new(Code::InvalidArgument, odd, "of a type that no store owns"));
        }
        match self.content.touch(namespace, resources).await?.first() {
            Some(missing) => Err(Refused::new(Code::NotFound, missing, "not found")),
            None => Ok(()),
        }
    }
}
