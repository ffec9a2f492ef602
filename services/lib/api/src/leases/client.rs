//! The client of leases on control's socket.

use gantry_proto::containerd::services::leases::v1 as pb;
use gantry_proto::containerd::services::leases::v1::leases_client::LeasesClient;
use gantry_rpc::{Channel, context};
use gantry_types::filter::FilterSet;
use gantry_types::{Labels, Namespace};

use super::{Collect, Inspect, Keep, Lease, Manage, Resource, convert};
use crate::Failure;
use crate::wire::{self, Invalid};

client!(
    /// A client of leases. Cheap to clone.
    "control", leases: LeasesClient<Channel>
);

impl Inspect for Client {
    async fn list(&self, namespace: &Namespace, filters: &FilterSet) -> Result<Vec<Lease>, Failure> {
        let request = pb::ListRequest { filters: wire::filter_texts(filters) };
        let request = context::with_namespace(request, namespace);
        let answer = self.caller.ask("list leases", self.rpc().list(request)).await?;
        Ok(answer.leases.into_iter().map(convert::parse_lease).collect())
    }

    async fn resources(&self, namespace: &Namespace, lease: &str) -> Result<Vec<Resource>, Failure> {
        const CALL: &str = "list what a lease keeps";
        let request = pb::ListResourcesRequest { id: lease.to_owned() };
        let request = context::with_namespace(request, namespace);
        let answer = self.caller.ask(CALL, self.rpc().list_resources(request)).await?;
        let resources = answer.resources.iter().map(convert::parse_resource).collect::<Result<_, _>>();
        resources.map_err(self.caller.garbled(CALL))
    }
}

impl Manage for Client {
    async fn create(
        &self,
        namespace: &Namespace,
        id: Option<&str>,
        labels: Labels,
    ) -> Result<Lease, Failure> {
        const CALL: &str = "make a lease";
        let request = pb::CreateRequest { id: id.unwrap_or_default().to_owned(), labels: labels.into() };
        let request = context::with_namespace(request, namespace);
        let answer = self.caller.ask(CALL, self.rpc().create(request)).await?;
        let lease = answer.lease.ok_or(Invalid::Missing { field: "lease" });
        lease.map(convert::parse_lease).map_err(self.caller.garbled(CALL))
    }

    async fn delete(&self, namespace: &Namespace, lease: &str, collect: Collect) -> Result<(), Failure> {
        let request = pb::DeleteRequest { id: lease.to_owned(), sync: collect == Collect::Now };
        let request = context::with_namespace(request, namespace);
        self.caller.ask("end a lease", self.rpc().delete(request)).await
    }
}

impl Keep for Client {
    async fn add(&self, namespace: &Namespace, lease: &str, resource: &Resource) -> Result<(), Failure> {
        let resource = Some(convert::resource(resource));
        let request = pb::AddResourceRequest { id: lease.to_owned(), resource };
        let request = context::with_namespace(request, namespace);
        self.caller.ask("keep something by a lease", self.rpc().add_resource(request)).await
    }

    async fn remove(&self, namespace: &Namespace, lease: &str, resource: &Resource) -> Result<(), Failure> {
        let resource = Some(convert::resource(resource));
        let request = pb::DeleteResourceRequest { id: lease.to_owned(), resource };
        let request = context::with_namespace(request, namespace);
        self.caller.ask("take something off a lease", self.rpc().delete_resource(request)).await
    }
}
