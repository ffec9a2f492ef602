//! The client of snapshots' socket.

mod unpacking;

use std::sync::Arc;

use gantry_proto::containerd::services::snapshots::v1 as pb;
use gantry_proto::containerd::services::snapshots::v1::snapshots_client::SnapshotsClient;
use gantry_rpc::{Channel, context};
use gantry_types::filter::FilterSet;
use gantry_types::{Labels, Namespace, Relabel};
use prost_types::FieldMask;

use super::{
    Commit, Info, Inspect, Manage, Mount, Owner, Prepare, Service, SnapshotKey, SnapshotName, SnapshotRef,
    Usage, convert,
};
use crate::call::Caller;
use crate::peers::MESSAGE_LIMIT;
use crate::wire::{self, Invalid};
use crate::{Failure, Peers, Promise};

pub use unpacking::Unpacking;

/// A client of all snapshotters. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
    caller: Caller,
}

/// A client of one snapshotter. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Snapshotter {
    channel: Channel,
    caller: Caller,
    name: Arc<str>,
}

impl Client {
    /// The snapshots service among `peers`.
    pub fn new(peers: &Peers) -> Self {
        Self::over(peers.channel("snapshots"), "snapshots")
    }

    /// A client of another service's snapshotters on a channel.
    pub fn over(channel: Channel, peer: &'static str) -> Self {
        Self { channel, caller: Caller::new(peer) }
    }
}

impl Promise for Client {
    type Error = Failure;
}

impl Service for Client {
    type Snapshotter = Snapshotter;

    fn snapshotter(&self, name: &str) -> Snapshotter {
        Snapshotter { channel: self.channel.clone(), caller: self.caller, name: name.into() }
    }
}

impl Snapshotter {
    fn rpc(&self) -> SnapshotsClient<Channel> {
        SnapshotsClient::new(self.channel.clone())
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT)
    }

    fn name(&self) -> String {
        self.name.to_string()
    }

    fn info_of(&self, call: &'static str, info: Option<pb::Info>) -> Result<Info, Failure> {
        let info = info.ok_or(Invalid::Missing { field: "info" }).and_then(convert::parse_info);
        info.map_err(self.caller.garbled(call))
    }
}

impl Promise for Snapshotter {
    type Error = Failure;
}

impl Inspect for Snapshotter {
    async fn stat(&self, namespace: &Namespace, snapshot: &SnapshotRef) -> Result<Info, Failure> {
        const CALL: &str = "look up a snapshot";
        let request = pb::StatSnapshotRequest { snapshotter: self.name(), key: snapshot.to_string() };
        let request = context::with_namespace(request, namespace);
        self.info_of(CALL, self.caller.ask(CALL, self.rpc().stat(request)).await?.info)
    }

    async fn list(&self, namespace: &Namespace, filters: &FilterSet) -> Result<Vec<Info>, Failure> {
        const CALL: &str = "list snapshots";
        let filters = wire::filter_texts(filters);
        let request = pb::ListSnapshotsRequest { snapshotter: self.name(), filters };
        let request = context::with_namespace(request, namespace);
        let mut stream = self.caller.ask(CALL, self.rpc().list(request)).await?;
        let mut snapshots = Vec::new();
        while let Some(message) = self.caller.hear(CALL, stream.message()).await? {
            for info in message.info {
                snapshots.push(convert::parse_info(info).map_err(self.caller.garbled(CALL))?);
            }
        }
        Ok(snapshots)
    }

    async fn usage(&self, namespace: &Namespace, snapshot: &SnapshotRef) -> Result<Usage, Failure> {
        const CALL: &str = "measure a snapshot";
        let request = pb::UsageRequest { snapshotter: self.name(), key: snapshot.to_string() };
        let request = context::with_namespace(request, namespace);
        let usage = self.caller.ask(CALL, self.rpc().usage(request)).await?;
        convert::parse_usage(usage).map_err(self.caller.garbled(CALL))
    }
}

impl Prepare for Snapshotter {
    async fn prepare(
        &self,
        owner: &Owner,
        key: &SnapshotKey,
        parent: Option<&SnapshotName>,
        labels: Labels,
    ) -> Result<Vec<Mount>, Failure> {
        let request = pb::PrepareSnapshotRequest {
            snapshotter: self.name(),
            key: key.to_string(),
            parent: convert::parent(parent),
            labels: labels.into(),
        };
        let answer = self.caller.ask("prepare a snapshot", self.rpc().prepare(owner.ask(request))).await?;
        Ok(convert::parse_mounts(answer.mounts))
    }

    async fn view(
        &self,
        owner: &Owner,
        key: &SnapshotKey,
        parent: Option<&SnapshotName>,
        labels: Labels,
    ) -> Result<Vec<Mount>, Failure> {
        let request = pb::ViewSnapshotRequest {
            snapshotter: self.name(),
            key: key.to_string(),
            parent: convert::parent(parent),
            labels: labels.into(),
        };
        let answer = self.caller.ask("view a snapshot", self.rpc().view(owner.ask(request))).await?;
        Ok(convert::parse_mounts(answer.mounts))
    }

    async fn mounts(&self, namespace: &Namespace, key: &SnapshotKey) -> Result<Vec<Mount>, Failure> {
        let request = pb::MountsRequest { snapshotter: self.name(), key: key.to_string() };
        let request = context::with_namespace(request, namespace);
        let answer = self.caller.ask("tell a snapshot's mounts", self.rpc().mounts(request)).await?;
        Ok(convert::parse_mounts(answer.mounts))
    }
}

impl Commit for Snapshotter {
    async fn commit(
        &self,
        owner: &Owner,
        name: &SnapshotName,
        key: &SnapshotKey,
        labels: Labels,
        rebase: Option<&SnapshotName>,
    ) -> Result<(), Failure> {
        let request = pb::CommitSnapshotRequest {
            snapshotter: self.name(),
            name: name.to_string(),
            key: key.to_string(),
            labels: labels.into(),
            parent: convert::parent(rebase),
        };
        self.caller.ask("commit a snapshot", self.rpc().commit(owner.ask(request))).await
    }
}

impl Manage for Snapshotter {
    async fn update(
        &self,
        namespace: &Namespace,
        snapshot: &SnapshotRef,
        labels: &Relabel,
    ) -> Result<Info, Failure> {
        const CALL: &str = "label a snapshot";
        let (labels, paths) = labels.clone().into_update();
        let info = pb::Info { name: snapshot.to_string(), labels: labels.into(), ..Default::default() };
        let request = pb::UpdateSnapshotRequest {
            snapshotter: self.name(),
            info: Some(info),
            update_mask: Some(FieldMask { paths }),
        };
        let request = context::with_namespace(request, namespace);
        self.info_of(CALL, self.caller.ask(CALL, self.rpc().update(request)).await?.info)
    }

    async fn remove(&self, owner: &Owner, snapshot: &SnapshotRef) -> Result<(), Failure> {
        let request = pb::RemoveSnapshotRequest { snapshotter: self.name(), key: snapshot.to_string() };
        self.caller.ask("remove a snapshot", self.rpc().remove(owner.ask(request))).await
    }

    async fn cleanup(&self, namespace: &Namespace) -> Result<(), Failure> {
        let request = context::with_namespace(pb::CleanupRequest { snapshotter: self.name() }, namespace);
        self.caller.ask("clean up after removed snapshots", self.rpc().cleanup(request)).await
    }
}
