//! Network namespaces of containers, and networks.

use gantry_api::Failure;
use gantry_api::network::{Attach, EndpointSpec, Inspect, Netns, NetnsSpec, Network};
use tonic::Status;

use super::{Peers, gone};
use crate::error::{Error, Result};

impl Peers {
    /// Makes a container's network namespace and connects it.
    pub async fn attach(&self, spec: NetnsSpec) -> Result<Netns> {
        self.network.attach(spec).await.map_err(said).map_err(|status| match status.code() {
            tonic::Code::NotFound => Error::NoNetworkYet(status.message().to_owned()),
            _ => Error::peer("failed to set up container networking", status),
        })
    }

    /// Takes a container off its networks; none is fine.
    pub async fn detach(&self, id: &str) -> Result<()> {
        let answer = self.network.detach(id).await.map_err(said);
        gone(answer).map_err(|status| Error::peer(format!("release network of container {id}"), status))
    }

    /// Adds an endpoint to a live netns.
    pub async fn connect(&self, id: &str, endpoint: EndpointSpec) -> Result<Netns> {
        let answer = self.network.connect(id, endpoint).await.map_err(said);
        answer.map_err(|status| match status.code() {
            // What cannot be given is the user's to know, and nothing else.
            tonic::Code::PermissionDenied => Error::Forbidden(status.message().to_owned()),
            _ => Error::peer(format!("connect container {id}"), status),
        })
    }

    /// Removes an endpoint from a live netns.
    pub async fn disconnect(&self, id: &str, network: &str) -> Result<Netns> {
        let answer = self.network.disconnect(id, network).await.map_err(said);
        answer.map_err(|status| Error::peer(format!("disconnect container {id}"), status))
    }

    /// A container's netns, if it has one.
    pub async fn netns(&self, id: &str) -> Result<Option<Netns>> {
        match self.network.netns(id).await.map_err(said) {
            Ok(netns) => Ok(Some(netns)),
            Err(status) if status.code() == tonic::Code::NotFound => Ok(None),
            Err(status) => Err(Error::peer(format!("look at network of container {id}"), status)),
        }
    }

    /// Ids of all network namespaces.
    pub async fn netns_ids(&self) -> Result<Vec<String>> {
        let answer = self.network.all_netns().await.map_err(said);
        answer
            .map(|netns| netns.into_iter().map(|netns| netns.id).collect())
            .map_err(|status| Error::peer("list network namespaces", status))
    }

    /// Tells the name service a container's new name.
    pub async fn rename(&self, id: &str, name: &str) -> Result<()> {
        let answer = self.network.rename(id, name).await.map_err(said);
        gone(answer).map_err(|status| Error::peer(format!("rename container {id} on its networks"), status))
    }

    /// A network by name, id or prefix.
    pub async fn network(&self, name: &str) -> Result<Network> {
        let answer = self.network.network(name).await.map_err(said);
        answer.map_err(|status| Error::peer(format!("look up network {name}"), status))
    }
}

/// What the service has said: what the engine was about to do, users are told in words of their own.
fn said(failure: Failure) -> Status {
    *failure.status
}
