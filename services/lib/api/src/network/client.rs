//! The client of network's socket.

use gantry_proto::gantry::network::v1 as pb;

use super::{Attach, EndpointSpec, Inspect, Manage, Netns, NetnsSpec, Network, NetworkSpec, convert};
use crate::Failure;
use crate::wire::Invalid;

client!(
    /// A client of network. Cheap to clone.
    "network"
);

impl Client {
    fn network_of(&self, call: &'static str, network: pb::Network) -> Result<Network, Failure> {
        convert::parse_network(network).map_err(self.caller.garbled(call))
    }

    fn netns_of(&self, call: &'static str, netns: pb::Netns) -> Result<Netns, Failure> {
        convert::parse_netns(netns).map_err(self.caller.garbled(call))
    }
}

impl Inspect for Client {
    async fn network(&self, reference: &str) -> Result<Network, Failure> {
        const CALL: &str = "look up a network";
        let request = pb::GetRequest { network: reference.to_owned() };
        self.network_of(CALL, self.caller.ask(CALL, self.peers.networks().get(request)).await?)
    }

    async fn networks(&self) -> Result<Vec<Network>, Failure> {
        const CALL: &str = "list networks";
        let answer = self.caller.ask(CALL, self.peers.networks().list(pb::ListRequest {})).await?;
        answer.networks.into_iter().map(|network| self.network_of(CALL, network)).collect()
    }

    async fn drivers(&self) -> Result<Vec<String>, Failure> {
        let request = pb::DriversRequest {};
        let answer = self.caller.ask("list network drivers", self.peers.networks().drivers(request)).await?;
        Ok(answer.drivers)
    }
}

impl Manage for Client {
    async fn create(&self, spec: NetworkSpec) -> Result<Network, Failure> {
        const CALL: &str = "create a network";
        let request = convert::network_spec(spec);
        self.network_of(CALL, self.caller.ask(CALL, self.peers.networks().create(request)).await?)
    }

    async fn remove(&self, reference: &str) -> Result<Network, Failure> {
        const CALL: &str = "remove a network";
        let request = pb::RemoveRequest { network: reference.to_owned() };
        let answer = self.caller.ask(CALL, self.peers.networks().remove(request)).await?;
        let missing = Invalid::Missing { field: "network" };
        let network = answer.network.ok_or(missing).map_err(self.caller.garbled(CALL))?;
        self.network_of(CALL, network)
    }

    async fn withdraw(&self) -> Result<(), Failure> {
        let request = pb::WithdrawRequest {};
        self.caller.ask("withdraw networks", self.peers.networks().withdraw(request)).await.map(drop)
    }
}

impl Attach for Client {
    async fn attach(&self, spec: NetnsSpec) -> Result<Netns, Failure> {
        const CALL: &str = "attach a container to networks";
        let request = convert::netns_spec(spec);
        self.netns_of(CALL, self.caller.ask(CALL, self.peers.netns().attach(request)).await?)
    }

    async fn detach(&self, id: &str) -> Result<(), Failure> {
        let request = pb::DetachRequest { netns: id.to_owned() };
        self.caller
            .ask("detach a container from networks", self.peers.netns().detach(request))
            .await
            .map(drop)
    }

    async fn connect(&self, id: &str, endpoint: EndpointSpec) -> Result<Netns, Failure> {
        const CALL: &str = "connect a container to a network";
        let endpoint = Some(convert::endpoint_spec(endpoint));
        let request = pb::ConnectRequest { netns: id.to_owned(), endpoint };
        self.netns_of(CALL, self.caller.ask(CALL, self.peers.netns().connect(request)).await?)
    }

    async fn disconnect(&self, id: &str, network: &str) -> Result<Netns, Failure> {
        const CALL: &str = "disconnect a container from a network";
        let request = pb::DisconnectRequest { netns: id.to_owned(), network: network.to_owned() };
        self.netns_of(CALL, self.caller.ask(CALL, self.peers.netns().disconnect(request)).await?)
    }

    async fn rename(&self, id: &str, name: &str) -> Result<Netns, Failure> {
        const CALL: &str = "rename a container on its networks";
        let request = pb::RenameRequest { netns: id.to_owned(), name: name.to_owned() };
        self.netns_of(CALL, self.caller.ask(CALL, self.peers.netns().rename(request)).await?)
    }

    async fn netns(&self, id: &str) -> Result<Netns, Failure> {
        const CALL: &str = "look up a network namespace";
        let request = pb::GetNetnsRequest { netns: id.to_owned() };
        self.netns_of(CALL, self.caller.ask(CALL, self.peers.netns().get(request)).await?)
    }

    async fn all_netns(&self) -> Result<Vec<Netns>, Failure> {
        const CALL: &str = "list network namespaces";
        let answer = self.caller.ask(CALL, self.peers.netns().list(pb::ListNetnsRequest {})).await?;
        answer.netns.into_iter().map(|netns| self.netns_of(CALL, netns)).collect()
    }
}
