//! Who has which network, address and port: the truth in memory, which every decision is taken on.
//!
//! Nothing here waits or touches the disk; the caller holds the lock for microseconds, reserves, and then does the slow
//! work without it. What is not stored on its own (which addresses and ports are taken) is rebuilt from the records.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

use gantry_netlink::Mac;
use ipnet::IpNet;

use crate::bridge::derived_mac;
use crate::error::{Error, Result};
use crate::ipam::{Pool, overlap};
use crate::plan::Family;
use crate::ports::{Held, Ports, Protocol, Wanted, any};
use crate::record::{Endpoint, Network, Networks, Port, Sandbox, option};

/// What a sandbox wants of a network.
#[derive(Clone, Debug, Default)]
pub struct EndpointWish {
    /// Name or id.
    pub network: String,
    /// Further names.
    pub aliases: Vec<String>,
    /// `container:alias`.
    pub links: Vec<String>,
    /// A requested IPv4 address.
    pub ipv4: Option<IpAddr>,
    /// A requested IPv6 address.
    pub ipv6: Option<IpAddr>,
    /// A requested hardware address.
    pub mac: Option<Mac>,
    /// The driver's options.
    pub options: HashMap<String, String>,
    /// The highest has the default route.
    pub gateway_priority: i32,
}

/// A port that a sandbox wants published.
#[derive(Clone, Copy, Debug)]
pub struct PortWish {
    /// The container's port.
    pub container_port: u16,
    /// The host's address; none for all.
    pub host: Option<IpAddr>,
    /// Protocol and acceptable ports.
    pub wanted: Wanted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Creating,
    Ready,
    Removing,
}

#[derive(Debug)]
struct Entry {
    record: Network,
    pools: Vec<Pool>,
    phase: Phase,
}

/// The records, and what follows from them.
#[derive(Debug, Default)]
pub struct Book {
    networks: BTreeMap<String, Entry>,
    sandboxes: BTreeMap<String, Sandbox>,
    ports: Ports,
}

impl Book {
    // Networks.

    /// Finds a network by id, name or unique beginning of an id.
    pub fn network(&self, reference: &str) -> Result<&Network> {
        let ready = || self.networks.values().filter(|entry| entry.phase == Phase::Ready).map(|entry| &entry.record);
        if let Some(entry) = self.networks.get(reference).filter(|entry| entry.phase == Phase::Ready) {
            return Ok(&entry.record);
        }
        if let Some(found) = ready().find(|network| network.name == reference) {
            return Ok(found);
        }
        let mut beginning = ready().filter(|network| !reference.is_empty() && network.id.starts_with(reference));
        match (beginning.next(), beginning.next()) {
            (Some(one), None) => Ok(one),
            (Some(_), Some(_)) => Err(Error::NetworkAmbiguous(reference.to_owned())),
            (None, _) => Err(Error::NetworkNotFound(reference.to_owned())),
        }
    }

    /// All networks that are there, by name.
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

    /// The subnets of all networks, also of those that are just being made or removed.
    pub fn nets(&self) -> Vec<IpNet> {
        self.networks.values().flat_map(|entry| entry.record.nets()).collect()
    }

    /// Reserves a network's name, subnets and interface, while it is being made.
    pub fn reserve_network(&mut self, record: Network) -> Result<()> {
        for known in self.networks.values().map(|entry| &entry.record) {
            if known.name == record.name {
                return Err(Error::NetworkExists(record.name));
            }
            if !record.bridge.is_empty() && known.bridge == record.bridge {
                let owner = format!("network {}", known.name);
                return Err(Error::InterfaceTaken { network: record.name, interface: record.bridge, owner });
            }
            for net in record.nets() {
                if let Some(other) = known.nets().find(|other| overlap(&net, other)) {
                    return Err(Error::PoolOverlaps(net, other));
                }
            }
        }
        self.insert(record, Phase::Creating)
    }

    /// Notes a network that a record says is there.
    pub fn restore_network(&mut self, record: Network) -> Result<()> {
        self.insert(record, Phase::Ready)
    }

    fn insert(&mut self, record: Network, phase: Phase) -> Result<()> {
        let mut pools = Vec::new();
        for subnet in &record.subnets {
            let bad = |what: &str, text: &str| Error::Invalid(format!("invalid {what} {text:?} of network {}", record.name));
            let net: IpNet = subnet.subnet.parse().map_err(|_| bad("subnet", &subnet.subnet))?;
            let range = match subnet.ip_range.as_str() {
                "" => None,
                text => Some(text.parse().map_err(|_| bad("ip-range", text))?),
            };
            let mut pool = Pool::new(net.trunc(), range);
            for text in [&subnet.gateway].into_iter().chain(subnet.auxiliary.values()).filter(|text| !text.is_empty()) {
                pool.take(text.parse().map_err(|_| bad("address", text))?);
            }
            pools.push(pool);
        }
        self.networks.insert(record.id.clone(), Entry { record, pools, phase });
        Ok(())
    }

    /// The network is made: it can be found from now on.
    pub fn network_is_ready(&mut self, id: &str) {
        if let Some(entry) = self.networks.get_mut(id) {
            entry.phase = Phase::Ready;
        }
    }

    /// Begins to remove a network: nobody finds it any more.
    pub fn begin_removal(&mut self, reference: &str) -> Result<Network> {
        let network = self.network(reference)?.clone();
        if network.predefined {
            return Err(Error::Predefined(network.name));
        }
        let endpoints: Vec<String> = self
            .endpoints_of(&network.id)
            .map(|(sandbox, endpoint)| format!("name:\"{}\" id:\"{}\"", sandbox.name, short(&endpoint.id)))
            .collect();
        if !endpoints.is_empty() {
            return Err(Error::ActiveEndpoints { name: network.name, endpoints });
        }
        let entry = self.networks.get_mut(&network.id).expect("it was just found");
        entry.phase = Phase::Removing;
        Ok(network)
    }

    /// Forgets a network.
    pub fn forget_network(&mut self, id: &str) {
        self.networks.remove(id);
    }

    /// The endpoints on a network, with their sandboxes.
    pub fn endpoints_of<'a>(&'a self, network: &'a str) -> impl Iterator<Item = (&'a Sandbox, &'a Endpoint)> {
        let on = move |sandbox: &'a Sandbox| sandbox.endpoint_on(network).map(|endpoint| (sandbox, endpoint));
        self.sandboxes.values().filter_map(on)
    }

    /// The networks that a sandbox's endpoints are on.
    pub fn networks_of(&self, sandbox: &Sandbox) -> Networks {
        let one = |endpoint: &Endpoint| {
            let entry = self.networks.get(&endpoint.network)?;
            Some((endpoint.network.clone(), entry.record.clone()))
        };
        sandbox.endpoints.iter().filter_map(one).collect()
    }

    // Sandboxes.

    /// A sandbox.
    pub fn sandbox(&self, id: &str) -> Option<&Sandbox> {
        self.sandboxes.get(id)
    }

    /// All sandboxes, by id.
    pub fn sandboxes(&self) -> impl Iterator<Item = &Sandbox> {
        self.sandboxes.values()
    }

    /// Stores a sandbox, whose addresses and ports are taken already.
    pub fn put_sandbox(&mut self, sandbox: Sandbox) {
        self.sandboxes.insert(sandbox.id.clone(), sandbox);
    }

    /// Notes a sandbox that a record says is there, and takes its addresses and ports.
    ///
    /// A port that somebody else bound while the service was away stays published: its container was there first.
    pub fn restore_sandbox(&mut self, sandbox: Sandbox, hold: impl Fn(Protocol, SocketAddr) -> Result<Held>) {
        for endpoint in &sandbox.endpoints {
            if let Some(entry) = self.networks.get_mut(&endpoint.network) {
                for net in endpoint.nets() {
                    if let Some(pool) = entry.pools.iter_mut().find(|pool| pool.contains(net.addr())) {
                        pool.take(net.addr());
                    }
                }
            }
        }
        for port in &sandbox.ports {
            if let Some((protocol, number, host)) = key(port) {
                let socket = hold(protocol, SocketAddr::new(host, number)).unwrap_or_else(|error| {
                    tracing::warn!(sandbox = sandbox.id, %error, "a published port is somebody else's as well");
                    None
                });
                self.ports.restore(protocol, number, host, socket);
            }
        }
        self.put_sandbox(sandbox);
    }

    /// Forgets a sandbox and gives back what it had.
    pub fn forget_sandbox(&mut self, sandbox: &Sandbox) {
        for endpoint in &sandbox.endpoints {
            self.unplug(endpoint);
        }
        self.give_ports(&sandbox.ports);
        self.sandboxes.remove(&sandbox.id);
    }

    /// Gives ports back.
    pub fn give_ports(&mut self, ports: &[Port]) {
        for port in ports {
            if let Some((protocol, number, host)) = key(port) {
                self.ports.give(protocol, number, host);
            }
        }
    }

    /// Adds an endpoint to a sandbox that is being built: finds the network, takes addresses, chooses names.
    pub fn plug(&mut self, sandbox: &mut Sandbox, wish: &EndpointWish, veth_prefix: &str) -> Result<()> {
        let network = self.network(&wish.network)?.clone();
        if !network.is_bridge() {
            return Err(Error::NoEndpoints(network.name));
        }
        if sandbox.endpoint_on(&network.id).is_some() {
            return Err(Error::AlreadyConnected { sandbox: sandbox.name.clone(), network: network.name });
        }
        if (wish.ipv4.is_some() || wish.ipv6.is_some()) && network.predefined {
            let text = "user specified IP address is supported on user defined networks only";
            return Err(Error::Invalid(text.to_owned()));
        }
        let interface = interface(sandbox, wish)?;
        let id = crate::random_id();
        let mut endpoint = Endpoint {
            veth: format!("{veth_prefix}{}", &id[..8]),
            id,
            network: network.id.clone(),
            interface,
            aliases: wish.aliases.clone(),
            links: wish.links.clone(),
            options: wish.options.clone(),
            gateway_priority: wish.gateway_priority,
            ..Endpoint::default()
        };
        let taken = self.addresses(&network, wish, &mut endpoint);
        if let Err(error) = taken {
            self.unplug(&endpoint);
            return Err(error);
        }
        let first = endpoint.nets().first().map(|net| net.addr().to_string()).unwrap_or_default();
        endpoint.mac = wish.mac.unwrap_or_else(|| derived_mac(&network.id, &first)).to_string();
        sandbox.endpoints.push(endpoint);
        Ok(())
    }

    fn addresses(&mut self, network: &Network, wish: &EndpointWish, endpoint: &mut Endpoint) -> Result<()> {
        if network.enable_ipv4 {
            let (net, gateway) = self.address(network, Family::V4, wish.ipv4)?;
            endpoint.ipv4 = net.to_string();
            endpoint.ipv4_gateway = gateway;
        }
        if network.enable_ipv6 {
            let (net, gateway) = self.address(network, Family::V6, wish.ipv6)?;
            endpoint.ipv6 = net.to_string();
            endpoint.ipv6_gateway = gateway;
        }
        Ok(())
    }

    /// Takes an address of a family: the requested one, or the lowest free of the first subnet that has one.
    fn address(&mut self, network: &Network, family: Family, wanted: Option<IpAddr>) -> Result<(IpNet, String)> {
        let entry = self.networks.get_mut(&network.id).ok_or_else(|| Error::NetworkNotFound(network.id.clone()))?;
        let name = || network.name.clone();
        let mut mine = entry.pools.iter_mut().enumerate().filter(|(_, pool)| Family::of(pool.subnet.addr()) == family);
        let (index, address) = match wanted {
            Some(address) => {
                let pool = mine.find(|(_, pool)| pool.contains(address));
                let (index, pool) = pool.ok_or_else(|| Error::AddressOutside { address, network: name() })?;
                if !pool.take(address) {
                    return Err(Error::AddressTaken { address, network: name() });
                }
                (index, address)
            }
            None => mine.find_map(|(index, pool)| pool.take_any().map(|address| (index, address))).ok_or_else(|| {
                Error::AddressesUsedUp { network: name(), family: if family == Family::V4 { 4 } else { 6 } }
            })?,
        };
        let prefix = entry.pools[index].subnet.prefix_len();
        let net = IpNet::new(address, prefix).expect("the prefix length is the subnet's");
        // Inside an internal network there is no way out, so no gateway either.
        let gateway = if network.internal { String::new() } else { entry.record.subnets[index].gateway.clone() };
        Ok((net, gateway))
    }

    /// Gives an endpoint's addresses back.
    pub fn unplug(&mut self, endpoint: &Endpoint) {
        if let Some(entry) = self.networks.get_mut(&endpoint.network) {
            for net in endpoint.nets() {
                if let Some(pool) = entry.pools.iter_mut().find(|pool| pool.contains(net.addr())) {
                    pool.give(net.addr());
                }
            }
        }
    }

    /// Takes the ports that a sandbox wants, all or none.
    pub fn take_ports(
        &mut self,
        sandbox: &mut Sandbox,
        wishes: &[PortWish],
        hold: impl Fn(Protocol, SocketAddr) -> Result<Held> + Copy,
    ) -> Result<()> {
        let networks = self.networks_of(sandbox);
        let way_out = |family| crate::plan::gateway(sandbox, &networks, family);
        let binding = way_out(Family::V4).and_then(|endpoint| networks.get(&endpoint.network)?.host_binding());
        let v6 = way_out(Family::V6).is_some();
        let mut taken = Vec::new();
        for wish in wishes {
            let hosts: Vec<IpAddr> = match (wish.host, binding) {
                (Some(host), _) | (None, Some(host)) => vec![host],
                (None, None) if v6 => vec![any(false), any(true)],
                (None, None) => vec![any(false)],
            };
            match self.ports.allocate(wish.wanted, &hosts, hold) {
                Ok(port) => taken.extend(hosts.iter().map(|host| Port {
                    protocol: wish.wanted.protocol.name().to_owned(),
                    container_port: u32::from(wish.container_port),
                    host_ip: host.to_string(),
                    host_port: u32::from(port),
                })),
                Err(error) => {
                    self.give_ports(&taken);
                    return Err(error);
                }
            }
        }
        sandbox.ports = taken;
        Ok(())
    }

    /// The interfaces and namespaces that ought to exist, for comparing with what does.
    pub fn veths(&self) -> BTreeSet<String> {
        self.sandboxes.values().flat_map(|sandbox| &sandbox.endpoints).map(|endpoint| endpoint.veth.clone()).collect()
    }
}

fn key(port: &Port) -> Option<(Protocol, u16, IpAddr)> {
    let protocol = Protocol::parse(&port.protocol).ok()?;
    Some((protocol, u16::try_from(port.host_port).ok()?, port.host_ip.parse().ok()?))
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// The requested name, or the lowest `ethN` that the sandbox does not have.
fn interface(sandbox: &Sandbox, wish: &EndpointWish) -> Result<String> {
    let has = |name: &str| sandbox.endpoints.iter().any(|endpoint| endpoint.interface == name);
    if let Some(name) = wish.options.get(option::INTERFACE) {
        let valid = gantry_netlink::route::check_name(name).is_ok() && !has(name) && name != "lo";
        return match valid {
            true => Ok(name.clone()),
            false => Err(Error::Invalid(format!("invalid or repeated interface name {name:?}"))),
        };
    }
    Ok((0..).map(|n| format!("eth{n}")).find(|name| !has(name)).expect("numbers do not end before endpoints do"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Subnet;

    fn network(id: &str, subnet: &str, gateway: &str) -> Network {
        let subnet = Subnet { subnet: subnet.into(), gateway: gateway.into(), ..Subnet::default() };
        Network {
            id: id.into(),
            name: format!("net-{id}"),
            driver: "bridge".into(),
            enable_ipv4: true,
            subnets: vec![subnet],
            bridge: format!("br-{id}"),
            ..Network::default()
        }
    }

    fn on(network: &str) -> EndpointWish {
        EndpointWish { network: network.into(), ..EndpointWish::default() }
    }

    #[test]
    fn networks_are_found_by_id_name_and_prefix() {
        let mut book = Book::default();
        book.restore_network(network("aab", "10.1.0.0/16", "10.1.0.1")).unwrap();
        book.restore_network(network("aac", "10.2.0.0/16", "10.2.0.1")).unwrap();
        assert_eq!(book.network("net-aab").unwrap().id, "aab");
        assert_eq!(book.network("aac").unwrap().id, "aac");
        assert!(matches!(book.network("aa"), Err(Error::NetworkAmbiguous(_))));
        assert!(matches!(book.network("b"), Err(Error::NetworkNotFound(_))));
        let clash = book.reserve_network(network("x", "10.2.128.0/20", "10.2.128.1"));
        assert!(matches!(clash, Err(Error::PoolOverlaps(..))));
    }

    #[test]
    fn a_network_with_endpoints_stays() {
        let mut book = Book::default();
        book.restore_network(network("a", "10.1.0.0/16", "10.1.0.1")).unwrap();
        let mut sandbox = Sandbox { id: "s".into(), name: "web".into(), ..Sandbox::default() };
        book.plug(&mut sandbox, &on("a"), "v").unwrap();
        assert_eq!((sandbox.endpoints[0].ipv4.as_str(), sandbox.endpoints[0].interface.as_str()), ("10.1.0.2/16", "eth0"));
        assert!(matches!(book.plug(&mut sandbox, &on("a"), "v"), Err(Error::AlreadyConnected { .. })));
        book.put_sandbox(sandbox.clone());
        let error = book.begin_removal("a").unwrap_err().to_string();
        assert!(error.contains("has active endpoints (name:\"web\""), "{error}");
        book.forget_sandbox(&sandbox);
        book.begin_removal("a").unwrap();
        assert!(matches!(book.network("a"), Err(Error::NetworkNotFound(_))));
    }

    #[test]
    fn requested_addresses_are_checked() {
        let mut book = Book::default();
        book.restore_network(network("a", "10.1.0.0/16", "10.1.0.1")).unwrap();
        let mut sandbox = Sandbox::default();
        let wish = |text: &str| EndpointWish { ipv4: Some(text.parse().unwrap()), ..on("a") };
        assert!(matches!(book.plug(&mut sandbox, &wish("10.1.0.1"), "v"), Err(Error::AddressTaken { .. })));
        assert!(matches!(book.plug(&mut sandbox, &wish("10.9.0.1"), "v"), Err(Error::AddressOutside { .. })));
        book.plug(&mut sandbox, &wish("10.1.7.7"), "v").unwrap();
        assert_eq!(sandbox.endpoints[0].ipv4, "10.1.7.7/16");
    }

    #[test]
    fn ports_are_taken_all_or_none() {
        let mut book = Book::default();
        book.restore_network(network("a", "10.1.0.0/16", "10.1.0.1")).unwrap();
        let port = |number| PortWish {
            container_port: 80,
            host: None,
            wanted: Wanted { protocol: Protocol::Tcp, range: Some((number, number)) },
        };
        let mut first = Sandbox::default();
        book.plug(&mut first, &on("a"), "v").unwrap();
        book.take_ports(&mut first, &[port(8080)], |_, _| Ok(None)).unwrap();
        let mut second = Sandbox::default();
        let error = book.take_ports(&mut second, &[port(8081), port(8080)], |_, _| Ok(None)).unwrap_err();
        assert!(matches!(error, Error::PortAllocated { port: 8080, .. }));
        book.take_ports(&mut second, &[port(8081)], |_, _| Ok(None)).unwrap();
    }
}
