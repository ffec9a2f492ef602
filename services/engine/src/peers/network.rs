//! The network service: network namespaces of containers, and networks.

use std::path::{Path, PathBuf};

use gantry_api::network::{self, Attach, EndpointSpec, Inspect, Netns, NetnsSpec, Network};

use super::{gone, said};
use crate::error::{Error, Result};

/// A client of the network service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Networks {
    client: network::Client,
    run: PathBuf,
}

impl Networks {
    /// A client of a root directory's network service, whose sockets are in `run`.
    pub fn new(peers: &gantry_api::Peers, run: &Path) -> Networks {
        Networks { client: network::Client::new(peers), run: run.to_owned() }
    }

    /// The path at which a container's network namespace is pinned.
    pub fn netns_path(&self, id: &str) -> PathBuf {
        self.run.join("netns").join(id)
    }

    /// Creates a container's network namespace and connects it to its networks.
    pub async fn attach(&self, spec: NetnsSpec) -> Result<Netns> {
        self.client.attach(spec).await.map_err(said).map_err(|status| match status.code() {
            tonic::Code::NotFound => Error::NoNetworkYet(status.message().to_owned()),
            _ => Error::peer("failed to set up container networking", status),
        })
    }

    /// Removes a container's network namespace; succeeds if there is none.
    pub async fn detach(&self, id: &str) -> Result<()> {
        let answer = self.client.detach(id).await.map_err(said);
        gone(answer).map_err(|status| Error::peer(format!("release network of container {id}"), status))
    }

    /// Adds an endpoint to a container that runs.
    pub async fn connect(&self, id: &str, endpoint: EndpointSpec) -> Result<Netns> {
        let answer = self.client.connect(id, endpoint).await.map_err(said);
        answer.map_err(|status| match status.code() {
            // Only these errors have text that is meant for the user.
            tonic::Code::PermissionDenied => Error::Forbidden(status.message().to_owned()),
            _ => Error::peer(format!("connect container {id}"), status),
        })
    }

    /// Removes an endpoint from a container that runs.
    pub async fn disconnect(&self, id: &str, network: &str) -> Result<Netns> {
        let answer = self.client.disconnect(id, network).await.map_err(said);
        answer.map_err(|status| Error::peer(format!("disconnect container {id}"), status))
    }

    /// A container's network namespace, if it has one.
    pub async fn netns(&self, id: &str) -> Result<Option<Netns>> {
        match self.client.netns(id).await.map_err(said) {
            Ok(netns) => Ok(Some(netns)),
            Err(status) if status.code() == tonic::Code::NotFound => Ok(None),
            Err(status) => Err(Error::peer(format!("look at network of container {id}"), status)),
        }
    }

    /// Ids of all network namespaces.
    pub async fn netns_ids(&self) -> Result<Vec<String>> {
        let answer = self.client.all_netns().await.map_err(said);
        answer
            .map(|netns| netns.into_iter().map(|netns| netns.id).collect())
            .map_err(|status| Error::peer("list network namespaces", status))
    }

    /// Changes a container's name in the name service.
    pub async fn rename(&self, id: &str, name: &str) -> Result<()> {
        let answer = self.client.rename(id, name).await.map_err(said);
        gone(answer).map_err(|status| Error::peer(format!("rename container {id} on its networks"), status))
    }

    /// Finds a network by name, id or unique id prefix.
    pub async fn find(&self, name: &str) -> Result<Network> {
        let answer = self.client.network(name).await.map_err(said);
        answer.map_err(|status| Error::peer(format!("look up network {name}"), status))
    }
}
