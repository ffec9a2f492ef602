//! Image records with their consequences: what they refer to is held, and an event is published.
//!
//! Invariant: a record of this service's own making refers to bytes that exist. The record is written first, then
//! `control` is asked to hold its target; when that is gone already, the record is taken back. containerd's clients may
//! name what is not there, as they may there.

use gantry_api::Peers;
use gantry_api::events::Publisher;
use gantry_api::gc::{Client, Collect as _, Hold as _, Resource};
use gantry_api::images::RecordUpdate;
use gantry_failpoint::failpoint;
use gantry_proto::containerd::services::images::v1::{ImageCreate, ImageDelete, ImageUpdate};
use gantry_rpc::{Code, Coded};
use gantry_types::{Descriptor, Digest, Namespace, Relabel};

use crate::error::Error;
use crate::record::Record;
use crate::store::{Put, Store};

/// The records, and those who have to know of their changes. A cheap clone.
#[derive(Clone)]
pub struct Names {
    store: Store,
    collector: Client,
    events: Publisher,
}

/// What becomes of a record whose target is not in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Absent {
    Accept,
    Refuse,
}

impl Names {
    /// Joins the records to control.
    pub fn new(store: Store, peers: &Peers, events: Publisher) -> Self {
        Self { store, collector: Client::new(peers), events }
    }

    /// The records, for reading.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Writes a record whose name is free.
    pub async fn create(&self, namespace: &Namespace, record: Record) -> Result<Record, Error> {
        let record = self.store.create(namespace, record).await?;
        self.hold(namespace, Put { record, previous: None }, Absent::Refuse).await.map(|put| put.record)
    }

    /// Writes a record for a client of containerd's, which may name what it has not brought yet: from when that comes,
    /// the record keeps it.
    pub async fn create_ahead(&self, namespace: &Namespace, record: Record) -> Result<Record, Error> {
        let record = self.store.create(namespace, record).await?;
        self.hold(namespace, Put { record, previous: None }, Absent::Accept).await.map(|put| put.record)
    }

    /// Changes a record for a client of containerd's.
    pub async fn update_ahead(
        &self,
        namespace: &Namespace,
        name: &str,
        update: &RecordUpdate,
    ) -> Result<Record, Error> {
        let put = self.store.update(namespace, name, update).await?;
        self.hold(namespace, put, Absent::Accept).await.map(|put| put.record)
    }

    /// Points a name at a target as containerd does, whether it existed or not: what it stood for is not kept.
    pub async fn replace(&self, namespace: &Namespace, record: Record) -> Result<Record, Error> {
        let update = RecordUpdate {
            target: Some(record.target.clone()),
            annotations: None,
            labels: Some(Relabel::All(record.labels.clone())),
            at: Some(record.updated),
        };
        loop {
            match self.create(namespace, record.clone()).await {
                Err(Error::RecordExists(_)) => {}
                created => return created,
            }
            match self.store.update(namespace, &record.name, &update).await {
                // Removed in between.
                Err(Error::NoRecord(_)) => {}
                put => return self.hold(namespace, put?, Absent::Refuse).await.map(|put| put.record),
            }
        }
    }

    /// Points a name at a target. An image that loses its last name by this is kept without one.
    pub async fn point(&self, namespace: &Namespace, record: Record) -> Result<Put, Error> {
        // Before its name goes: at no moment is the image without a root.
        if let Some(known) = self.store.find(namespace, &record.name)?
            && known.target.digest != record.target.digest
        {
            self.keep_without(namespace, &known.target, &record.name).await?;
        }
        let put = self.store.put(namespace, record).await?;
        failpoint!("images.name.recorded", infallible);
        let put = self.hold(namespace, put, Absent::Refuse).await?;
        if let Some(previous) = &put.previous
            && previous.target.digest != put.record.target.digest
        {
            // Once more, for the name may have moved meanwhile.
            self.keep_dangling(namespace, &previous.target).await?;
        }
        if !put.record.is_dangling() {
            self.drop_dangling(namespace, &put.record.target).await?;
        }
        Ok(put)
    }

    /// Removes a record.
    pub async fn delete(
        &self,
        namespace: &Namespace,
        name: &str,
        expected: Option<&Digest>,
    ) -> Result<Record, Error> {
        let record = self.store.delete(namespace, name, expected).await?;
        failpoint!("images.name.removed", infallible);
        self.events.publish(namespace, "/images/delete", &ImageDelete { name: name.to_owned() });
        Ok(record)
    }

    /// Keeps an image that has no name any more; none of its bytes may have been collected yet.
    pub async fn keep_dangling(&self, namespace: &Namespace, target: &Descriptor) -> Result<(), Error> {
        self.keep_without(namespace, target, "").await
    }

    /// Keeps an image that has no other name than `name`.
    async fn keep_without(
        &self,
        namespace: &Namespace,
        target: &Descriptor,
        name: &str,
    ) -> Result<(), Error> {
        let others = |record: &Record| record.target.digest == target.digest && record.name != name;
        if self.store.list(namespace)?.iter().any(others) {
            return Ok(());
        }
        let record = Record::new(Record::dangling_name(target), target.clone());
        match self.create(namespace, record).await {
            // It was collected in this moment, so no client misses it.
            Ok(_) | Err(Error::RecordExists(_)) => Ok(()),
            Err(Error::Peer(failure)) if failure.code() == Code::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// An image that has a name again need not be kept without one.
    async fn drop_dangling(&self, namespace: &Namespace, target: &Descriptor) -> Result<(), Error> {
        let name = Record::dangling_name(target);
        if self.store.find(namespace, &name)?.is_none() {
            return Ok(());
        }
        match self.delete(namespace, &name, None).await {
            Ok(_) | Err(Error::NoRecord(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Collects garbage now; returns the bytes that it freed.
    pub async fn collect(&self, namespace: &Namespace) -> Result<u64, Error> {
        Ok(self.collector.collect(Some(namespace)).await?.freed)
    }

    async fn hold(&self, namespace: &Namespace, put: Put, absent: Absent) -> Result<Put, Error> {
        let target = Resource::content(&put.record.target.digest);
        if let Err(failure) = self.collector.hold(namespace, vec![target]).await
            && !(absent == Absent::Accept && failure.code() == Code::NotFound)
        {
            self.store.undo(namespace, &put).await?;
            return Err(failure.into());
        }
        let (name, labels) = (put.record.name.clone(), put.record.labels.clone().into());
        match put.previous {
            None => self.events.publish(namespace, "/images/create", &ImageCreate { name, labels }),
            Some(_) => self.events.publish(namespace, "/images/update", &ImageUpdate { name, labels }),
        };
        Ok(put)
    }
}
