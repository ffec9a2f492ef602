//! The networks in the state: found, reserved, removed.

use std::collections::BTreeSet;

use super::{Entry, Phase, State};
use crate::error::{Error, Result};
use crate::record::{Endpoint, Netns, Network, Networks};

impl State {
    /// Finds a network by id, name or unique prefix of an id.
    pub fn network(&self, reference: &str) -> Result<&Network> {
        let ready =
            || self.networks.values().filter(|entry| entry.phase == Phase::Ready).map(|entry| &entry.record);
        if let Some(entry) = self.networks.get(reference).filter(|entry| entry.phase == Phase::Ready) {
            return Ok(&entry.record);
        }
        if let Some(found) = ready().find(|network| network.name == reference) {
            return Ok(found);
        }
        let mut beginning =
            ready().filter(|network| !reference.is_empty() && network.id.starts_with(reference));
        match (beginning.next(), beginning.next()) {
            (Some(one), None) => Ok(one),
            (Some(_), Some(_)) => Err(Error::NetworkAmbiguous(reference.to_owned())),
            (None, _) => Err(Error::NetworkNotFound(reference.to_owned())),
        }
    }

    /// All networks that are made, by name.
    pub fn list(&self) -> Vec<Network> {
        let mut all: Vec<Network> = self
            .networks
            .values()
            .filter(|entry| entry.phase == Phase::Ready)
            .map(|entry| entry.record.clone())
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// The bridges of all networks, including those that are being made or removed.
    pub fn bridges(&self) -> BTreeSet<String> {
        let names = self.networks.values().map(|entry| &entry.record.bridge);
        names.filter(|name| !name.is_empty()).cloned().collect()
    }

    /// Reserves a network's name and interface while it is being made.
    pub fn reserve_network(&mut self, record: Network) -> Result<()> {
        for known in self.networks.values().map(|entry| &entry.record) {
            if known.name == record.name {
                return Err(Error::NetworkExists(record.name));
            }
            if !record.bridge.is_empty() && known.bridge == record.bridge {
                let owner = format!("network {}", known.name);
                return Err(Error::InterfaceTaken { network: record.name, interface: record.bridge, owner });
            }
        }
        self.insert(record, Phase::Creating);
        Ok(())
    }

    /// Adds a network from its record.
    pub fn restore_network(&mut self, record: Network) {
        self.insert(record, Phase::Ready);
    }

    fn insert(&mut self, record: Network, phase: Phase) {
        self.networks.insert(record.id.clone(), Entry { record, phase });
    }

    /// Sets the record of a network that is being made, now with its subnets.
    pub fn complete_network(&mut self, record: Network) {
        self.insert(record, Phase::Creating);
    }

    /// Marks a network as made: clients find it from now on.
    pub fn network_is_ready(&mut self, id: &str) {
        if let Some(entry) = self.networks.get_mut(id) {
            entry.phase = Phase::Ready;
        }
    }

    /// Begins to remove a network: clients no longer find it.
    pub fn begin_removal(&mut self, reference: &str) -> Result<Network> {
        let network = self.network(reference)?.clone();
        if network.predefined {
            return Err(Error::Predefined(network.name));
        }
        let endpoints: Vec<String> = self
            .endpoints_of(&network.id)
            .map(|(netns, endpoint)| format!("name:\"{}\" id:\"{}\"", netns.name, short(&endpoint.id)))
            .collect();
        if !endpoints.is_empty() {
            return Err(Error::ActiveEndpoints { name: network.name, endpoints });
        }
        let entry = self.networks.get_mut(&network.id).expect("it was just found");
        entry.phase = Phase::Removing;
        Ok(network)
    }

    /// Removes a network.
    pub fn forget_network(&mut self, id: &str) {
        self.networks.remove(id);
    }

    /// The endpoints on a network, with their network namespaces.
    pub fn endpoints_of<'a>(&'a self, network: &'a str) -> impl Iterator<Item = (&'a Netns, &'a Endpoint)> {
        let on = move |netns: &'a Netns| netns.endpoint_on(network).map(|endpoint| (netns, endpoint));
        self.netns.values().filter_map(on)
    }

    /// The networks of a netns's endpoints.
    pub fn networks_of(&self, netns: &Netns) -> Networks {
        let one = |endpoint: &Endpoint| {
            let entry = self.networks.get(&endpoint.network)?;
            Some((endpoint.network.clone(), entry.record.clone()))
        };
        netns.endpoints.iter().filter_map(one).collect()
    }
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
