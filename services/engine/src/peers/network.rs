//! Network namespaces of containers, networks, and control's events.

use gantry_proto::gantry::network::v1 as network;
use tonic::Status;

use super::{DEADLINE, Peers, call, gone};
use crate::error::{Error, Result};

impl Peers {
    /// Makes a container's network namespace and connects it.
    pub async fn attach(&self, request: network::AttachRequest) -> Result<network::Sandbox> {
        let answer = call(DEADLINE, self.peers.sandboxes().attach(request)).await;
        answer.map_err(|status| match status.code() {
            tonic::Code::NotFound => Error::NoNetworkYet(status.message().to_owned()),
            _ => Error::peer("failed to set up container networking", status),
        })
    }

    /// Takes a container off its networks; none is fine.
    pub async fn detach(&self, id: &str) -> Result<()> {
        let request = network::DetachRequest { sandbox: id.to_owned() };
        let answer = call(DEADLINE, self.peers.sandboxes().detach(request)).await;
        gone(answer).map_err(|status| Error::peer(format!("release network of container {id}"), status))
    }

    /// Adds an endpoint to a live sandbox.
    pub async fn connect(&self, request: network::ConnectRequest) -> Result<network::Sandbox> {
        let doing = format!("connect container {}", request.sandbox);
        let answer = call(DEADLINE, self.peers.sandboxes().connect(request)).await;
        answer.map_err(|status| match status.code() {
            // What cannot be given is the user's to know, and nothing else.
            tonic::Code::PermissionDenied => Error::Forbidden(status.message().to_owned()),
            _ => Error::peer(doing, status),
        })
    }

    /// Removes an endpoint from a live sandbox.
    pub async fn disconnect(&self, id: &str, network: &str) -> Result<network::Sandbox> {
        let request = network::DisconnectRequest { sandbox: id.to_owned(), network: network.to_owned() };
        let answer = call(DEADLINE, self.peers.sandboxes().disconnect(request)).await;
        answer.map_err(|status| Error::peer(format!("disconnect container {id}"), status))
    }

    /// A container's sandbox, if it has one.
    pub async fn sandbox(&self, id: &str) -> Result<Option<network::Sandbox>> {
        let request = network::GetSandboxRequest { sandbox: id.to_owned() };
        match call(DEADLINE, self.peers.sandboxes().get(request)).await {
            Ok(sandbox) => Ok(Some(sandbox)),
            Err(status) if status.code() == tonic::Code::NotFound => Ok(None),
            Err(status) => Err(Error::peer(format!("look at network of container {id}"), status)),
        }
    }

    /// Ids of all sandboxes.
    pub async fn sandbox_ids(&self) -> Result<Vec<String>> {
        let request = network::ListSandboxesRequest {};
        let answer = call(DEADLINE, self.peers.sandboxes().list(request)).await;
        answer
            .map(|answer| answer.sandboxes.into_iter().map(|sandbox| sandbox.id).collect())
            .map_err(|status| Error::peer("list sandboxes", status))
    }

    /// Tells the name service a container's new name.
    pub async fn rename(&self, id: &str, name: &str) -> Result<()> {
        let request = network::RenameRequest { sandbox: id.to_owned(), name: name.to_owned() };
        let answer = call(DEADLINE, self.peers.sandboxes().rename(request)).await;
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
