//! A fake of the network service, which only keeps the records of networks and network namespaces.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use gantry_api::Promise;
use gantry_api::network::{
    self as api, Address, Attach, Endpoint, EndpointSpec, Inspect, Manage, Netns, NetnsSpec, NetworkSpec,
    PortMapping, PublishedPort, Subnet, server,
};
use gantry_rpc::Code;
use ipnet::IpNet;
use parking_lot::Mutex;
use tonic::service::Routes;

use crate::Refused;

/// The networks of a network service. Clones share their state.
#[derive(Debug, Clone)]
pub struct Network(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    networks: Vec<api::Network>,
    netns: BTreeMap<String, Netns>,
    /// Number of ids that were generated.
    ids: u64,
}

impl Default for Network {
    /// A service that has just been installed: with the three predefined networks.
    fn default() -> Self {
        let mut state = State { networks: Vec::new(), netns: BTreeMap::new(), ids: 0 };
        for (name, driver) in [("bridge", "bridge"), ("host", "host"), ("none", "null")] {
            let spec = NetworkSpec {
                name: name.to_owned(),
                driver: driver.to_owned(),
                ipv4: true,
                ..NetworkSpec::default()
            };
            state.make(spec).expect("the first networks clash with none");
        }
        Network(Arc::new(Mutex::new(state)))
    }
}

impl Network {
    /// The gRPC services of network.
    pub fn routes(&self) -> Routes {
        server::routes(self.clone())
    }

    /// The network namespaces that are attached, by id.
    pub fn attached(&self) -> Vec<Netns> {
        self.edit(|state| state.netns.values().cloned().collect())
    }

    fn edit<T>(&self, edit: impl FnOnce(&mut State) -> T) -> T {
        edit(&mut self.0.lock())
    }

    /// Makes a change on a copy of the state, which replaces the state if the change succeeds.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> Result<T, Refused>) -> Result<T, Refused> {
        self.edit(|state| {
            let mut copy =
                State { networks: state.networks.clone(), netns: state.netns.clone(), ids: state.ids };
            let done = change(&mut copy)?;
            *state = copy;
            Ok(done)
        })
    }
}

/// The network that a service without other networks makes from `spec`.
///
/// # Panics
///
/// When the request is refused.
pub fn network(spec: NetworkSpec) -> api::Network {
    let mut state = State { networks: Vec::new(), netns: BTreeMap::new(), ids: 0 };
    state.make(spec).expect("the network can be made")
}

fn refused<T>(code: Code, object: impl ToString, reason: &'static str) -> Result<T, Refused> {
    Err(Refused::new(code, object, reason))
}

fn missing(object: impl ToString) -> Refused {
    Refused::new(Code::NotFound, object, "not found")
}

fn overlap(a: IpNet, b: IpNet) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

fn nets(network: &api::Network) -> impl Iterator<Item = IpNet> {
    network.ipam.subnets.iter().filter_map(|subnet| subnet.subnet.parse().ok())
}

impl State {
    fn id(&mut self) -> String {
        self.ids += 1;
        format!("{:016x}", self.ids.wrapping_mul(0x9e37_79b9_7f4a_7c15)).repeat(4)
    }

    fn make(&mut self, spec: NetworkSpec) -> Result<api::Network, Refused> {
        if self.networks.iter().any(|known| known.name == spec.name) {
            return refused(Code::AlreadyExists, spec.name, "a network of this name exists");
        }
        let driver = if spec.driver.is_empty() { "bridge".to_owned() } else { spec.driver };
        let mut ipam = spec.ipam;
        let taken: Vec<IpNet> = self.networks.iter().flat_map(nets).collect();
        for subnet in &ipam.subnets {
            let Ok(net) = subnet.subnet.parse::<IpNet>() else {
                return refused(Code::InvalidArgument, &subnet.subnet, "no subnet");
            };
            if taken.iter().any(|other| overlap(net, *other)) {
                return refused(Code::FailedPrecondition, net, "the subnet overlaps with another network's");
            }
        }
        let has = |v4| ipam.subnets.iter().any(|subnet| subnet.subnet.contains('.') == v4);
        let (v4, v6) = (spec.ipv4 && !has(true), spec.ipv6 && !has(false));
        let free = |net: &IpNet| !taken.iter().any(|other| overlap(*net, *other));
        let choose = |mut choices: Box<dyn Iterator<Item = String>>| {
            let fits = |text: &String| text.parse().is_ok_and(|net| free(&net));
            let subnet = choices.find(fits).unwrap_or_default();
            Subnet { subnet, chosen: true, ..Subnet::default() }
        };
        if driver == "bridge" && v4 {
            ipam.subnets.push(choose(Box::new((17..256).map(|n| format!("172.{n}.0.0/16")))));
        }
        if driver == "bridge" && v6 {
            ipam.subnets.push(choose(Box::new((0..256).map(|n| format!("fd00:{n:x}::/64")))));
        }
        let id = self.id();
        let network = api::Network {
            bridge: if driver == "bridge" { format!("br-{}", &id[52..]) } else { String::new() },
            id,
            name: spec.name,
            driver,
            scope: "local".to_owned(),
            internal: spec.internal,
            attachable: spec.attachable,
            ipv4: spec.ipv4,
            ipv6: spec.ipv6,
            ipam,
            options: spec.options,
            labels: spec.labels,
            created_at: SystemTime::now(),
            endpoints: Vec::new(),
        };
        self.networks.push(network.clone());
        Ok(network)
    }

    fn network(&self, reference: &str) -> Result<api::Network, Refused> {
        let all = self.networks.iter();
        let exact = all.clone().find(|one| one.id == reference);
        let found = match exact.or_else(|| all.clone().find(|one| one.name == reference)) {
            Some(found) => found,
            None => {
                let mut beginning = all.filter(|one| !reference.is_empty() && one.id.starts_with(reference));
                match (beginning.next(), beginning.next()) {
                    (Some(one), None) => one,
                    (Some(_), Some(_)) => return refused(Code::InvalidArgument, reference, "ambiguous"),
                    (None, _) => return Err(missing(reference)),
                }
            }
        };
        let mut network = found.clone();
        let endpoints = self.netns.values().flat_map(|netns| &netns.endpoints);
        network.endpoints = endpoints.filter(|endpoint| endpoint.network_id == network.id).cloned().collect();
        Ok(network)
    }

    fn address(
        &self,
        network: &api::Network,
        v4: bool,
        wanted: Option<IpAddr>,
    ) -> Result<Option<Address>, Refused> {
        if !(if v4 { network.ipv4 } else { network.ipv6 }) {
            return Ok(None);
        }
        let taken: BTreeSet<IpAddr> = network
            .endpoints
            .iter()
            .flat_map(|endpoint| [endpoint.ipv4, endpoint.ipv6])
            .flatten()
            .map(|address| address.address)
            .collect();
        for subnet in &network.ipam.subnets {
            let Ok(net) = subnet.subnet.parse::<IpNet>() else { continue };
            if net.addr().is_ipv4() != v4 || wanted.is_some_and(|address| !net.contains(&address)) {
                continue;
            }
            let mut hosts = net.hosts();
            let first = hosts.next().unwrap_or(net.addr());
            let gateway = subnet.gateway.parse().unwrap_or(first);
            let free = |address: &IpAddr| *address != gateway && !taken.contains(address);
            let usable = |address: &IpAddr| free(address) && *address != net.network();
            let address = match wanted {
                Some(wanted) if usable(&wanted) && (!v4 || wanted != net.broadcast()) => wanted,
                Some(wanted) => return refused(Code::PermissionDenied, wanted, "the address is in use"),
                None => match net.hosts().find(usable) {
                    Some(address) => address,
                    None => continue,
                },
            };
            let gateway = (!network.internal).then_some(gateway);
            return Ok(Some(Address { address, prefix: net.prefix_len(), gateway }));
        }
        match wanted {
            Some(wanted) => {
                refused(Code::InvalidArgument, wanted, "no subnet of the network has the address")
            }
            None => refused(Code::ResourceExhausted, &network.name, "no address is left"),
        }
    }

    /// Adds an endpoint to a network namespace in the state.
    fn add_endpoint(&mut self, id: &str, spec: EndpointSpec) -> Result<(), Refused> {
        let network = self.network(&spec.network)?;
        if network.driver != "bridge" {
            return refused(Code::PermissionDenied, network.name, "it takes no endpoints");
        }
        let ipv4 = self.address(&network, true, spec.ipv4.map(IpAddr::V4))?;
        let ipv6 = self.address(&network, false, spec.ipv6.map(IpAddr::V6))?;
        let endpoint_id = self.id();
        let netns = self.netns.get_mut(id).ok_or_else(|| missing(id))?;
        if netns.endpoints.iter().any(|endpoint| endpoint.network_id == network.id) {
            return refused(Code::PermissionDenied, network.name, "it is on that network already");
        }
        let has = |name: &String| netns.endpoints.iter().any(|endpoint| endpoint.interface == *name);
        let interface = (0..).map(|n| format!("eth{n}")).find(|name| !has(name)).unwrap_or_default();
        let name_service = network.name != "bridge";
        let names = [&netns.name].into_iter().chain(&spec.aliases).filter(|_| name_service);
        let endpoint = Endpoint {
            id: endpoint_id,
            network_id: network.id,
            network_name: network.name,
            netns: netns.id.clone(),
            name: netns.name.clone(),
            interface,
            ipv4,
            ipv6,
            mac: spec.mac,
            dns_names: names.cloned().collect(),
            aliases: spec.aliases,
            options: spec.options,
            links: spec.links,
            gateway_priority: spec.gateway_priority,
            name_service,
            driver: network.driver,
        };
        netns.endpoints.push(endpoint);
        Ok(())
    }

    fn publish(&self, mapping: PortMapping) -> Result<PublishedPort, Refused> {
        let any = |v4| if v4 { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
        let host = mapping.host.unwrap_or(any(true));
        let taken = |number: &u16| {
            self.netns.values().flat_map(|netns| &netns.ports).any(|port| {
                let both = port.host == host || port.host.is_unspecified() || host.is_unspecified();
                port.protocol == mapping.protocol && port.host_port == *number && both
            })
        };
        let (first, last) = mapping.range.unwrap_or((49153, 65535));
        let Some(host_port) = (first..=last).find(|number| !taken(number)) else {
            return refused(Code::FailedPrecondition, first, "port is already allocated");
        };
        let PortMapping { protocol, container_port, .. } = mapping;
        Ok(PublishedPort { protocol, container_port, host, host_port })
    }
}

impl Promise for Network {
    type Error = Refused;
}

impl Inspect for Network {
    async fn network(&self, reference: &str) -> Result<api::Network, Refused> {
        self.edit(|state| state.network(reference))
    }

    async fn networks(&self) -> Result<Vec<api::Network>, Refused> {
        self.edit(|state| {
            let mut names: Vec<&String> = state.networks.iter().map(|network| &network.name).collect();
            names.sort();
            names.into_iter().map(|name| state.network(name)).collect()
        })
    }

    async fn drivers(&self) -> Result<Vec<String>, Refused> {
        Ok(["bridge", "host", "null"].map(str::to_owned).to_vec())
    }
}

/// The networks that cannot be created or removed.
const PREDEFINED: [&str; 3] = ["bridge", "host", "none"];

impl Manage for Network {
    async fn create(&self, spec: NetworkSpec) -> Result<api::Network, Refused> {
        if PREDEFINED.contains(&spec.name.as_str()) {
            return refused(Code::PermissionDenied, spec.name, "it is predefined");
        }
        match spec.driver.as_str() {
            "" | "bridge" => self.change(|state| state.make(spec)),
            "host" | "null" => refused(Code::PermissionDenied, spec.driver, "there is one of them"),
            _ => refused(Code::NotFound, spec.driver, "no such driver"),
        }
    }

    async fn remove(&self, reference: &str) -> Result<api::Network, Refused> {
        self.change(|state| {
            let network = state.network(reference)?;
            if PREDEFINED.contains(&network.name.as_str()) || !network.endpoints.is_empty() {
                return refused(Code::PermissionDenied, network.name, "it is predefined, or in use");
            }
            state.networks.retain(|known| known.id != network.id);
            Ok(network)
        })
    }

    async fn withdraw(&self) -> Result<(), Refused> {
        match self.edit(|state| state.netns.len()) {
            0 => Ok(()),
            left => refused(Code::FailedPrecondition, left, "containers are connected to networks"),
        }
    }
}

impl Attach for Network {
    async fn attach(&self, spec: NetnsSpec) -> Result<Netns, Refused> {
        self.change(|state| {
            if let Some(known) = state.netns.get(&spec.id) {
                let asked = spec.endpoints.iter().map(|it| Ok(state.network(&it.network)?.id));
                let asked = asked.collect::<Result<BTreeSet<String>, Refused>>()?;
                let has: BTreeSet<String> = known.endpoints.iter().map(|it| it.network_id.clone()).collect();
                return match asked == has {
                    true => Ok(known.clone()),
                    false => refused(Code::FailedPrecondition, spec.id, "attached to other networks"),
                };
            }
            let netns = Netns {
                id: spec.id.clone(),
                name: spec.name,
                hostname: spec.hostname,
                path: PathBuf::from("/run/netns").join(&spec.id),
                endpoints: Vec::new(),
                ports: Vec::new(),
            };
            state.netns.insert(spec.id.clone(), netns);
            for endpoint in spec.endpoints {
                state.add_endpoint(&spec.id, endpoint)?;
            }
            for mapping in spec.ports {
                let port = state.publish(mapping)?;
                state.netns.get_mut(&spec.id).ok_or_else(|| missing(&spec.id))?.ports.push(port);
            }
            state.netns.get(&spec.id).cloned().ok_or_else(|| missing(&spec.id))
        })
    }

    async fn detach(&self, id: &str) -> Result<(), Refused> {
        self.edit(|state| state.netns.remove(id));
        Ok(())
    }

    async fn connect(&self, id: &str, endpoint: EndpointSpec) -> Result<Netns, Refused> {
        self.change(|state| {
            state.add_endpoint(id, endpoint)?;
            state.netns.get(id).cloned().ok_or_else(|| missing(id))
        })
    }

    async fn disconnect(&self, id: &str, network: &str) -> Result<Netns, Refused> {
        self.change(|state| {
            let network = state.network(network)?;
            let netns = state.netns.get_mut(id).ok_or_else(|| missing(id))?;
            let before = netns.endpoints.len();
            netns.endpoints.retain(|endpoint| endpoint.network_id != network.id);
            if netns.endpoints.len() == before {
                return refused(Code::NotFound, network.name, "it is not on that network");
            }
            Ok(netns.clone())
        })
    }

    async fn rename(&self, id: &str, name: &str) -> Result<Netns, Refused> {
        self.change(|state| {
            let netns = state.netns.get_mut(id).ok_or_else(|| missing(id))?;
            for endpoint in &mut netns.endpoints {
                endpoint.dns_names.retain(|known| *known != netns.name);
                if endpoint.name_service {
                    endpoint.dns_names.insert(0, name.to_owned());
                }
                name.clone_into(&mut endpoint.name);
            }
            name.clone_into(&mut netns.name);
            Ok(netns.clone())
        })
    }

    async fn netns(&self, id: &str) -> Result<Netns, Refused> {
        self.edit(|state| state.netns.get(id).cloned()).ok_or_else(|| missing(id))
    }

    async fn all_netns(&self) -> Result<Vec<Netns>, Refused> {
        Ok(self.attached())
    }
}
