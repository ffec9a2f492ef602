//! The client of the records on tasks' socket.

use gantry_proto::containerd::services::containers::v1 as pb;
use gantry_proto::containerd::services::containers::v1::containers_client::ContainersClient;
use gantry_rpc::{Channel, context};
use gantry_types::filter::FilterSet;
use gantry_types::{ContainerId, Namespace};

use super::{Container, Inspect, Manage, Record, Update, convert};
use crate::Failure;
use crate::wire::{self, Invalid};

client!(
    /// A client of the records. Cheap to clone.
    "tasks", container_records: ContainersClient<Channel>
);

impl Client {
    fn parse(&self, call: &'static str, container: Option<pb::Container>) -> Result<Record, Failure> {
        let missing = Invalid::Missing { field: "container" };
        let container = container.ok_or(missing).map_err(self.caller.garbled(call))?;
        container.try_into().map_err(self.caller.garbled(call))
    }
}

impl Inspect for Client {
    async fn record(&self, namespace: &Namespace, id: &ContainerId) -> Result<Record, Failure> {
        const CALL: &str = "look up a container's record";
        let request = context::with_namespace(pb::GetContainerRequest { id: id.to_string() }, namespace);
        let answer = self.caller.ask(CALL, self.rpc().get(request)).await?;
        self.parse(CALL, answer.container)
    }

    async fn records(&self, namespace: &Namespace, filters: &FilterSet) -> Result<Vec<Record>, Failure> {
        const CALL: &str = "list the records of containers";
        let request = pb::ListContainersRequest { filters: wire::filter_texts(filters) };
        let request = context::with_namespace(request, namespace);
        let mut stream = self.caller.ask(CALL, self.rpc().list_stream(request)).await?;
        let mut records = Vec::new();
        while let Some(message) = self.caller.hear(CALL, stream.message()).await? {
            records.push(self.parse(CALL, message.container)?);
        }
        Ok(records)
    }
}

impl Manage for Client {
    async fn create_record(&self, namespace: &Namespace, container: Container) -> Result<Record, Failure> {
        const CALL: &str = "record a container";
        let request = pb::CreateContainerRequest { container: Some(container.into()) };
        let request = context::with_namespace(request, namespace);
        let answer = self.caller.ask(CALL, self.rpc().create(request)).await?;
        self.parse(CALL, answer.container)
    }

    async fn update_record(
        &self,
        namespace: &Namespace,
        id: &ContainerId,
        update: Update,
    ) -> Result<Record, Failure> {
        const CALL: &str = "change a container's record";
        // A mask that names nothing means everything.
        if update.is_empty() {
            return self.record(namespace, id).await;
        }
        let request = context::with_namespace(convert::update(id, update), namespace);
        let answer = self.caller.ask(CALL, self.rpc().update(request)).await?;
        self.parse(CALL, answer.container)
    }

    async fn delete_record(&self, namespace: &Namespace, id: &ContainerId) -> Result<(), Failure> {
        let request = context::with_namespace(pb::DeleteContainerRequest { id: id.to_string() }, namespace);
        self.caller.ask("delete a container's record", self.rpc().delete(request)).await
    }
}
