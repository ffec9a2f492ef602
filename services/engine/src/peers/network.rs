//! Network namespaces of containers, networks, and control's events.

use gantry_proto::gantry::network::v1 as network;
use tonic::Status;

use super::{DEADLINE, Peers, call, gone};
use crate::error::{Error, Result};

impl Peers {
    /// Makes a container's network namespace and connects it.
    pub async fn attach(&self, request: network::AttachRequest) -> Result<network::Netns> {
        let answer = call(DEADLINE, self.peers.netns().attach(request)).await;
        answer.map_err(|status| match status.code() {
            tonic::Code::NotFound => Error::NoNetworkYet(status.message().to_owned()),
            _ => Error::peer("failed to set up container networking", status),
        })
    }

    /// Takes a container off its networks; none is fine.
    pub async fn detach(&self, id: &str) -> Result<()> {
        let request = network::DetachRequest { netns: id.to_owned() };
        let answer = call(DEADLINE, self.peers.netns().detach(request)).await;
        gone(answer).map_err(|status| Error::peer(format!("release network of container {id}"), status))
    }

    /// Adds an endpoint to a live netns.
    pub async fn connect(&self, request: network::ConnectRequest) -> Result<network::Netns> {
        let doing = format!("connect container {}", request.netns);
        let answer = call(DEADLINE, self.peers.netns().connect(request)).await;
        answer.map_err(|status| match status.code() {
            // What cannot be given is the user's to know, and nothing else.
            tonic::Code::PermissionDenied => Error::Forbidden(status.message().to_owned()),
            _ => Error::peer(doing, status),
        })
    }

    /// Removes an endpoint from a live netns.
    pub async fn disconnect(&self, id: &str, network: &str) -> Result<network::Netns> {
        let request = network::DisconnectRequest { netns: id.to_owned(), network: network.to_owned() };
        let answer = call(DEADLINE, self.peers.netns().disconnect(request)).await;
        answer.map_err(|status| Error::peer(format!("disconnect container {id}"), status))
    }

    /// A container's netns, if it has one.
    pub async fn netns(&self, id: &str) -> Result<Option<network::Netns>> {
        let request = network::GetNetnsRequest { netns: id.to_owned() };
        match call(DEADLINE, self.peers.netns().get(request)).await {
            Ok(netns) => Ok(Some(netns)),
            Err(status) if status.code() == tonic::Code::NotFound => Ok(None),
            Err(status) => Err(Error::peer(format!("look at network of container {id}"), status)),
        }
    }

    /// Ids of all network namespaces.
    pub async fn netns_ids(&self) -> Result<Vec<String>> {
        let request = network::ListNetnsRequest {};
        let answer = call(DEADLINE, self.peers.netns().list(request)).await;
        answer
            .map(|answer| answer.netns.into_iter().map(|netns| netns.id).collect())
            .map_err(|status| Error::peer("list network namespaces", status))
    }

    /// Tells the name service a container's new name.
    pub async fn rename(&self, id: &str, name: &str) -> Result<()> {
        let request = network::RenameRequest { netns: id.to_owned(), name: name.to_owned() };
        let answer = call(DEADLINE, self.peers.netns().rename(request)).await;
        gone(answer).map_err(|status| Error::peer(format!("rename container {id} on its networks"), status))
    }

    /// A network by name, id or prefix.
    pub async fn network(&self, name: &str) -> Result<network::Network> {
        let request = network::GetRequest { network: name.to_owned() };
        let answer = call(DEADLINE, self.peers.networks().get(request)).await;
        answer.map_err(|status| Error::peer(format!("look up network {name}"), status))
    }

    /// Control's stream of containerd events that pass a filter.
    pub async fn subscribe(
        &self,
        filter: &str,
    ) -> Result<tonic::Streaming<gantry_proto::containerd::types::Envelope>, Status> {
        let request = gantry_proto::containerd::services::events::v1::SubscribeRequest {
            filters: vec![filter.to_owned()],
        };
        Ok(self.peers.events().subscribe(request).await?.into_inner())
    }
}
