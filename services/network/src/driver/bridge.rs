//! Networks behind a bridge of the host: the default network, and most user-defined ones.
//!
//! Each endpoint is a veth pair: one end on the bridge, the other created directly in the network namespace. The host
//! is the router: its rules separate networks, translate addresses, and lead published ports to endpoints.

mod link;
mod options;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use gantry_api::network::NetworkSpec;
use gantry_netlink::nft::Family;
use gantry_netlink::{Link, Mac, Namespace, Route, Veth, or_exists, or_missing, sysctl};
use ipnet::IpNet;

use super::{Capabilities, Driver};
use crate::controller::blocking;
use crate::error::{Error, Result};
use crate::firewall::Entry;
use crate::gateway;
use crate::host::Host;
use crate::links;
use crate::ports::Protocol;
use crate::record::{Endpoint, Network, Port, option};

pub use link::GROUP;

/// The driver `bridge`.
#[derive(Clone)]
pub struct Bridge(Arc<Host>);

impl std::fmt::Debug for Bridge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bridge")
    }
}

impl Bridge {
    pub(crate) fn new(host: Arc<Host>) -> Self {
        Bridge(host)
    }

    /// Removes a network's link if Gantry made it. Its subnet is free at once; the link is deleted a little later.
    fn retire(&self, network: &Network) -> Result<()> {
        let mut route = self.0.route.lock();
        if link::retire(&mut route, network, &self.0.identity.mark())? {
            let bridge = vec![network.bridge.clone()];
            // A name that the user chose may be used again at once; a generated name is not.
            match network.options.contains_key(option::BRIDGE_NAME) {
                true => links::delete(&mut route, bridge),
                false => self.0.deleter.delete(bridge),
            }
        }
        Ok(())
    }
}

#[tonic::async_trait]
impl Driver for Bridge {
    fn name(&self) -> &str {
        "bridge"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { endpoints: true, creatable: true, addresses: true, distant: false }
    }

    fn check(&self, spec: &NetworkSpec) -> Result<()> {
        options::check(&spec.options)?;
        let nets: Vec<IpNet> =
            spec.ipam.subnets.iter().filter_map(|subnet| subnet.subnet.parse().ok()).collect();
        let several = |v4| nets.iter().filter(|net| net.addr().is_ipv4() == v4).count() > 1;
        if several(true) || several(false) { Err(Error::SeveralSubnets) } else { Ok(()) }
    }

    async fn prepare(&self, network: &mut Network) -> Result<()> {
        if network.predefined {
            network.bridge = self.0.identity.default_bridge();
            network.options = options::predefined(&network.bridge);
            return Ok(());
        }
        network.bridge = match network.options.get(option::BRIDGE_NAME) {
            Some(name) => name.clone(),
            None => self.0.identity.bridge(&network.id),
        };
        let (host, name) = (self.0.clone(), network.bridge.clone());
        let look = move || {
            let found = host.route.lock().link(&name).map_err(Error::kernel(format!("look for {name}")))?;
            Ok(found.is_some())
        };
        network.preexisting = blocking(look).await?;
        Ok(())
    }

    async fn create(&self, network: &Network) -> Result<()> {
        let (this, network) = (self.clone(), network.clone());
        blocking(move || {
            link::ensure(&mut this.0.route.lock(), &network, &this.0.identity.mark())?;
            this.0.firewall.change(&BTreeSet::new(), &this.rules(&network))?;
            this.0.forwarding.allow(&this.forwards(&network), &this.0.firewall)
        })
        .await
    }

    async fn delete(&self, network: &Network) -> Result<()> {
        let (this, network) = (self.clone(), network.clone());
        blocking(move || {
            let closed = this.0.firewall.change(&this.rules(&network), &BTreeSet::new());
            this.retire(&network).and(closed)
        })
        .await
    }

    fn withdraw(&self, network: &Network) -> Result<Vec<String>> {
        let ours = link::retire(&mut self.0.route.lock(), network, &self.0.identity.mark())?;
        Ok(if ours { vec![network.bridge.clone()] } else { Vec::new() })
    }

    fn join(&self, network: &Network, endpoint: &Endpoint, namespace: &Namespace) -> Result<()> {
        let failed = || Error::kernel(format!("endpoint {} on network {}", endpoint.id, network.name));
        let mac: Mac =
            endpoint.mac.parse().map_err(|_| Error::Invalid(format!("endpoint {}: bad MAC", endpoint.id)))?;
        let mut host = self.0.route.lock();
        let bridge = host.index(&network.bridge).map_err(failed())?;
        let veth = Veth {
            name: &endpoint.veth,
            master: Some(bridge),
            peer: &endpoint.interface,
            namespace,
            mac,
            mtu: options::mtu(network),
            // With br_netfilter a translated packet can return to its own port while it is still being bridged.
            port: gantry_netlink::Port { isolated: !options::icc(network), hairpin: bridge_filtered() },
        };
        or_exists(host.add_veth(&veth)).map_err(failed())
    }

    fn settle(&self, network: &Network, endpoint: &Endpoint) -> Result<()> {
        // A kernel worker sets the carrier of a new link. Until then the bridge drops what the port sends, which
        // delays a first packet by a second. The port comes before the bridge, because the bridge may only be up
        // because of the port.
        let settled = self.0.route.lock().settle(&[&endpoint.veth, &network.bridge]);
        settled.map_err(Error::kernel(format!("endpoint {} on network {}", endpoint.id, network.name)))
    }

    fn leave(&self, endpoint: &Endpoint, _namespace: &Namespace) -> Result<()> {
        let failed = || Error::kernel(format!("endpoint {}", endpoint.id));
        // Uses a netlink socket of its own, because the kernel takes long and other calls must not wait.
        let mut route = Route::open().map_err(failed())?;
        or_missing(route.delete_links([endpoint.veth.as_str()])).map_err(failed())
    }

    fn left(&self, endpoint: &Endpoint) {
        self.0.deleter.delete(vec![endpoint.veth.clone()]);
    }

    fn rules(&self, network: &Network) -> BTreeSet<Entry> {
        let mut entries = BTreeSet::from([Entry::Bridge(network.bridge.clone())]);
        if options::icc(network) {
            entries.insert(Entry::Same(network.bridge.clone()));
        }
        if network.internal {
            entries.insert(Entry::Internal(network.bridge.clone()));
        }
        for net in network.nets() {
            entries.insert(Entry::Subnet(net.trunc()));
            if options::masquerade(network) {
                entries.insert(Entry::Masquerade(net.trunc()));
            }
        }
        entries
    }

    fn forwards(&self, network: &Network) -> BTreeSet<Family> {
        if network.internal {
            return BTreeSet::new();
        }
        let family = |net: &IpNet| if net.addr().is_ipv4() { Family::Ip } else { Family::Ip6 };
        network.gateways().iter().map(family).collect()
    }

    fn host_binding(&self, network: &Network) -> Option<IpAddr> {
        options::host_binding(network)
    }

    fn publish(&self, _network: &Network, endpoint: &Endpoint, port: &Port) -> Option<Entry> {
        translation(endpoint, port)
    }

    fn interface(&self, network: &Network) -> Option<String> {
        Some(network.bridge.clone())
    }

    fn is_ours(&self, link: &Link) -> bool {
        match link.kind.as_str() {
            "veth" => link.name.starts_with(&self.0.identity.veth_prefix()),
            "bridge" => link.alias == self.0.identity.mark(),
            _ => false,
        }
    }
}

fn bridge_filtered() -> bool {
    sysctl::read("net/bridge/bridge-nf-call-iptables").is_ok_and(|value| value == "1")
}

/// The translation of a port of the host to one of an endpoint.
pub(super) fn translation(endpoint: &Endpoint, port: &Port) -> Option<Entry> {
    let host: IpAddr = port.host_ip.parse().ok()?;
    let protocol = Protocol::parse(&port.protocol)?;
    let net = match gateway::Family::of(host) {
        gateway::Family::V4 => endpoint.ipv4(),
        gateway::Family::V6 => endpoint.ipv6(),
    }?;
    let to = SocketAddr::new(net.addr(), u16::try_from(port.container_port).ok()?);
    Some(Entry::port(host, protocol, u16::try_from(port.host_port).ok()?, to))
}
