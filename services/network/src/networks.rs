//! Networks: created, removed, chosen subnets for.

mod check;

use std::collections::{BTreeSet, HashMap};

use gantry_netlink::Route;
use ipnet::IpNet;

use crate::bridge;
use crate::controller::{Controller, blocking};
use crate::error::{Error, Result};
use crate::firewall::network_entries;
use crate::gateway::Family;
use crate::ipam;
use crate::links;
use crate::record::{Network, Subnet, option};

/// A network to be made.
#[derive(Clone, Debug, Default)]
pub struct NetworkSpec {
    /// Its name.
    pub name: String,
    /// Its driver; empty for `bridge`.
    pub driver: String,
    /// Without a way out.
    pub internal: bool,
    /// For Docker's sake.
    pub attachable: bool,
    /// Whether it has IPv4.
    pub ipv4: bool,
    /// Whether it has IPv6.
    pub ipv6: bool,
    /// Subnets to use; those that are missing are chosen.
    pub subnets: Vec<Subnet>,
    /// `default`, or empty.
    pub ipam_driver: String,
    /// For Docker's sake.
    pub ipam_options: HashMap<String, String>,
    /// The driver's options.
    pub options: HashMap<String, String>,
    /// The user's labels.
    pub labels: HashMap<String, String>,
}

impl Controller {
    /// Makes a network: record, bridge, rules.
    pub async fn create_network(&self, spec: NetworkSpec) -> Result<Network> {
        let spec = check::checked(spec)?;
        let this = self.clone();
        // Choosing a subnet looks at the host's own routes, and takes what it chose, in one go.
        let record = blocking(move || this.reserve(spec)).await?;
        match self.set_up_network(&record).await {
            Ok(()) => {
                self.0.state.lock().network_is_ready(&record.id);
                tracing::info!(
                    network = record.name,
                    id = record.id,
                    bridge = record.bridge,
                    "network created"
                );
                Ok(record)
            }
            Err(error) => {
                if let Err(error) = self.0.store.delete_network(&record).await {
                    complain(&record, &error);
                }
                self.tear_down_network(&record).await;
                Err(error)
            }
        }
    }

    async fn set_up_network(&self, record: &Network) -> Result<()> {
        let (this, network) = (self.clone(), record.clone());
        let kernel = blocking(move || {
            bridge::ensure(&mut this.0.route.lock(), &network, &this.0.identity.mark())?;
            this.0.firewall.change(&BTreeSet::new(), &network_entries(&network))?;
            this.0.forwarding.allow(&network, &this.0.firewall)
        });
        let (written, built) = tokio::join!(self.0.store.put_network(record), kernel);
        written.and(built)
    }

    /// Removes a network that nothing is on.
    pub async fn remove_network(&self, reference: &str) -> Result<Network> {
        let record = self.0.state.lock().begin_removal(reference)?;
        // The record first: a network that comes back with the next start was not removed. What a crash leaves of it in
        // the kernel, recovery finds.
        if let Err(error) = self.0.store.delete_network(&record).await {
            self.0.state.lock().network_is_ready(&record.id);
            return Err(error);
        }
        self.tear_down_network(&record).await;
        tracing::info!(network = record.name, id = record.id, "network removed");
        Ok(record)
    }

    /// Undoes all of a network but its record; what fails is logged and left to recovery, the rest goes on.
    async fn tear_down_network(&self, record: &Network) {
        let (this, network) = (self.clone(), record.clone());
        let kernel = blocking(move || {
            let closed = this.0.firewall.change(&network_entries(&network), &BTreeSet::new());
            let mut route = this.0.route.lock();
            if bridge::retire(&mut route, &network, &this.0.identity.mark())? {
                let link = vec![network.bridge.clone()];
                // A name that the user chose may be wanted again at once; our own never is.
                match network.options.contains_key(option::BRIDGE_NAME) {
                    true => links::delete(&mut route, link),
                    false => this.0.deleter.delete(link),
                }
            }
            closed
        });
        if let Err(error) = kernel.await {
            complain(record, &error);
        }
        self.0.state.lock().forget_network(&record.id);
    }

    /// Takes what the host has of all networks away: our bridges, forwarding where we switched it on, and the rules. The next start makes them again from the
    /// records, which stay. Whatever needs them before then fails.
    pub async fn withdraw(&self) -> Result<()> {
        let this = self.clone();
        blocking(move || {
            let networks = {
                let state = this.0.state.lock();
                match state.all_netns().count() {
                    0 => state.list(),
                    left => return Err(Error::NetnsLeft(left)),
                }
            };
            let mut route = this.0.route.lock();
            let mut links = Vec::new();
            for network in networks.into_iter().filter(Network::is_bridge) {
                if bridge::retire(&mut route, &network, &this.0.identity.mark())? {
                    links.push(network.bridge);
                }
            }
            links::delete(&mut route, links);
            this.0.forwarding.put_back(&this.0.firewall)?;
            this.0.firewall.withdraw()
        })
        .await?;
        self.0.deleter.catch_up().await;
        Ok(())
    }

    fn reserve(&self, spec: NetworkSpec) -> Result<Network> {
        let id = crate::random_id();
        let bridge = match spec.options.get(option::BRIDGE_NAME) {
            Some(name) => name.clone(),
            None => self.0.identity.bridge(&id),
        };
        let (there, busy) = {
            let mut route = self.0.route.lock();
            let there = route.link(&bridge).map_err(Error::kernel(format!("look for {bridge}")))?;
            (there.is_some(), host_nets(&mut route)?)
        };
        let mut record = Network {
            id,
            bridge,
            preexisting: there,
            name: spec.name,
            driver: "bridge".to_owned(),
            internal: spec.internal,
            attachable: spec.attachable,
            enable_ipv4: spec.ipv4,
            enable_ipv6: spec.ipv6,
            subnets: spec.subnets,
            ipam_driver: if spec.ipam_driver.is_empty() { "default".to_owned() } else { spec.ipam_driver },
            ipam_options: spec.ipam_options,
            options: spec.options,
            labels: spec.labels,
            created_at: Some(crate::now()),
            predefined: false,
        };
        let mut state = self.0.state.lock();
        complete(&mut record, &state.nets(), &busy, self.0.identity.v6_seed())?;
        state.reserve_network(record.clone())?;
        Ok(record)
    }
}

fn complain(record: &Network, error: &Error) {
    tracing::warn!(network = record.name, error = %gantry_rpc::chain(error), "network not wholly removed");
}

/// Subnets that the host reaches or has, other than by default.
pub fn host_nets(route: &mut Route) -> Result<Vec<IpNet>> {
    let failed = || Error::kernel("look at the host's routes");
    let mut nets: Vec<IpNet> =
        route.routes().map_err(failed())?.into_iter().map(|entry| entry.destination).collect();
    nets.extend(route.addresses().map_err(failed())?.into_iter().map(|address| address.net.trunc()));
    nets.retain(|net| net.prefix_len() > 0);
    Ok(nets)
}

/// Chooses the subnets and gateways that a network's record does not have yet.
pub fn complete(record: &mut Network, ours: &[IpNet], busy: &[IpNet], seed: [u8; 5]) -> Result<()> {
    let has = |record: &Network, family| record.nets().any(|net| Family::of(net.addr()) == family);
    let free = |net: &IpNet| !ours.iter().chain(busy).any(|other| ipam::overlap(net, other));
    if record.enable_ipv4 && !has(record, Family::V4) {
        let net = ipam::default_v4().find(free).ok_or(Error::PoolsUsedUp)?;
        record.subnets.insert(0, fresh(net));
    }
    if record.enable_ipv6 && !has(record, Family::V6) {
        let net = ipam::default_v6(seed).find(free).ok_or(Error::PoolsUsedUp)?;
        record.subnets.push(fresh(net));
    }
    for subnet in &mut record.subnets {
        if subnet.gateway.is_empty() {
            let net: IpNet = subnet.subnet.parse().map_err(|_| invalid("subnet", &subnet.subnet))?;
            let range: Option<IpNet> = subnet.ip_range.parse().ok();
            // Docker takes the gateway from the range, when there is one.
            let within = range.filter(|range| range.network() != net.network());
            subnet.gateway_chosen = true;
            subnet.gateway =
                within.map_or_else(|| ipam::first_host(net), |range| range.network()).to_string();
        }
    }
    Ok(())
}

fn fresh(net: IpNet) -> Subnet {
    let gateway = ipam::first_host(net).to_string();
    Subnet { subnet: net.to_string(), gateway, chosen: true, ..Subnet::default() }
}

fn invalid(what: &str, text: &str) -> Error {
    Error::Invalid(format!("invalid {what} {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_free_subnet_is_chosen() {
        let mut record = Network { enable_ipv4: true, enable_ipv6: true, ..Network::default() };
        let busy = ["172.16.0.0/15".parse().unwrap(), "172.18.5.0/24".parse().unwrap()];
        complete(&mut record, &[], &busy, [1; 5]).unwrap();
        assert_eq!(record.subnets[0].subnet, "172.19.0.0/16");
        assert_eq!(record.subnets[0].gateway, "172.19.0.1");
        assert_eq!(record.subnets[1].subnet, "fd01:101:101::/64");
    }
}
