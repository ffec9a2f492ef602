//! The promise of the records: what the store keeps, with what each change makes known. A collection under way hears
//! what a record refers to before the change is acknowledged, and subscribers hear of the change.

use gantry_api::gc::{self, Hold as _, Resource};
use gantry_api::tasks::records::{Container, Inspect, Manage, Record, Update};
use gantry_api::{Peers, Promise};
use gantry_proto::containerd::events::{ContainerCreate, ContainerDelete, ContainerUpdate, container_create};
use gantry_rpc::{Code, Coded};
use gantry_types::filter::FilterSet;
use gantry_types::{ContainerId, Namespace};

use super::Containers;
use crate::error::Error;
use crate::events::{Publisher, Then};

/// The records as clients see and change them. Cheap to clone.
#[derive(Clone)]
pub struct Records {
    containers: Containers,
    publisher: Publisher,
    collector: gc::Client,
}

impl Records {
    /// The records of this store.
    pub fn new(containers: Containers, publisher: Publisher, peers: &Peers) -> Records {
        Records { containers, publisher, collector: gc::Client::new(peers) }
    }

    /// Tells a collection under way what a record refers to. As with containerd, a record may be created before its
    /// snapshot; it then keeps the snapshot from the snapshot's creation on.
    async fn hold(&self, namespace: &Namespace, container: &Container) -> Result<(), Error> {
        if container.snapshot_key.is_empty() {
            return Ok(());
        }
        let snapshot = Resource::snapshot(&container.snapshotter, &container.snapshot_key);
        match self.collector.hold(namespace, vec![snapshot]).await {
            Err(failure) if failure.code() != Code::NotFound => {
                Err(Error::Peer { peer: failure.service, status: failure.status })
            }
            _ => Ok(()),
        }
    }

    fn publish<M: prost::Name>(&self, namespace: &Namespace, topic: &str, event: &M) {
        self.publisher.publish(namespace.as_str(), topic, event, Then::Nothing);
    }
}

/// Logs that an undo has failed; the caller gets the error that made it necessary.
fn undone(outcome: Result<(), Error>, id: &ContainerId) {
    if let Err(error) = outcome {
        let error = gantry_rpc::chain(&error);
        tracing::error!(container = %id, error, "a change of the record whose snapshot is not held is not undone");
    }
}

impl Promise for Records {
    type Error = Error;
}

impl Inspect for Records {
    async fn record(&self, namespace: &Namespace, id: &ContainerId) -> Result<Record, Error> {
        self.containers.get(namespace, id)
    }

    async fn records(&self, namespace: &Namespace, filters: &FilterSet) -> Result<Vec<Record>, Error> {
        self.containers.list(namespace, filters)
    }
}

impl Manage for Records {
    async fn create_record(&self, namespace: &Namespace, container: Container) -> Result<Record, Error> {
        let made = self.containers.create(namespace, container).await?;
        let Container { id, image, runtime, .. } = &made.container;
        if let Err(error) = self.hold(namespace, &made.container).await {
            undone(self.containers.undo_creation(namespace, &made).await, id);
            return Err(error);
        }
        let runtime =
            container_create::Runtime { name: runtime.name.clone(), options: runtime.options.clone() };
        let event = ContainerCreate { id: id.to_string(), image: image.clone(), runtime: Some(runtime) };
        self.publish(namespace, "/containers/create", &event);
        Ok(made)
    }

    async fn update_record(
        &self,
        namespace: &Namespace,
        id: &ContainerId,
        update: Update,
    ) -> Result<Record, Error> {
        if update.is_empty() {
            return self.containers.get(namespace, id);
        }
        let (before, after) = self.containers.update(namespace, id, update).await?;
        if after.container.snapshot_key != before.container.snapshot_key
            && let Err(error) = self.hold(namespace, &after.container).await
        {
            undone(self.containers.undo_update(namespace, &before, &after).await, id);
            return Err(error);
        }
        let Container { image, labels, snapshot_key, .. } = after.container.clone();
        let event = ContainerUpdate { id: id.to_string(), image, labels: labels.into(), snapshot_key };
        self.publish(namespace, "/containers/update", &event);
        Ok(after)
    }

    async fn delete_record(&self, namespace: &Namespace, id: &ContainerId) -> Result<(), Error> {
        self.containers.delete(namespace, id).await?;
        self.publish(namespace, "/containers/delete", &ContainerDelete { id: id.to_string() });
        Ok(())
    }
}
