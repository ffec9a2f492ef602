//! The records of networks and network namespaces. Addresses are text, as in the contract; [`Endpoint::ipv4`] and
//! similar methods parse them.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use gantry_api::network::{ExposedPort, PortMapping, Protocol};
use ipnet::IpNet;

/// Docker's names of driver options, which users rely on.
pub mod option {
    /// The bridge's name on the host.
    pub const BRIDGE_NAME: &str = "com.docker.network.bridge.name";
    /// Whether containers of the network can reach each other.
    pub const ENABLE_ICC: &str = "com.docker.network.bridge.enable_icc";
    /// Whether packets of containers leave the host with its address.
    pub const ENABLE_MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
    /// The host's address for published ports that name none.
    pub const HOST_BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";
    /// The MTU of the bridge and of the interfaces on it.
    pub const MTU: &str = "com.docker.network.driver.mtu";
    /// How IPv4 packets enter and leave; only `nat` is supported.
    pub const GATEWAY_MODE_V4: &str = "com.docker.network.bridge.gateway_mode_ipv4";
    /// How IPv6 packets enter and leave.
    pub const GATEWAY_MODE_V6: &str = "com.docker.network.bridge.gateway_mode_ipv6";
    /// Whether the bridge has no IPv4 address.
    pub const INHIBIT_IPV4: &str = "com.docker.network.bridge.inhibit_ipv4";
    /// The prefix of interface names in containers.
    pub const INTERFACE_PREFIX: &str = "com.docker.network.container_iface_prefix";
    /// Whether the network has IPv4, as an option.
    pub const ENABLE_IPV4: &str = "com.docker.network.enable_ipv4";
    /// Whether the network has IPv6, as an option.
    pub const ENABLE_IPV6: &str = "com.docker.network.enable_ipv6";
    /// Marks the default network.
    pub const DEFAULT_BRIDGE: &str = "com.docker.network.bridge.default_bridge";
    /// The name of an endpoint's interface in the container.
    pub const INTERFACE: &str = "com.docker.network.endpoint.ifname";
}

/// Name and driver of the three networks that always exist.
pub const PREDEFINED: [(&str, &str); 3] = [("bridge", "bridge"), ("host", "host"), ("none", "null")];

/// A network.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Network {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(string, tag = "2")]
    pub name: String,
    /// The driver's name: `bridge`, `host`, `null`, or a plugin's.
    #[prost(string, tag = "3")]
    pub driver: String,
    #[prost(bool, tag = "4")]
    pub internal: bool,
    #[prost(bool, tag = "5")]
    pub attachable: bool,
    #[prost(bool, tag = "6")]
    pub enable_ipv4: bool,
    #[prost(bool, tag = "7")]
    pub enable_ipv6: bool,
    #[prost(message, repeated, tag = "8")]
    pub subnets: Vec<Subnet>,
    #[prost(string, tag = "9")]
    pub ipam_driver: String,
    #[prost(map = "string, string", tag = "10")]
    pub ipam_options: HashMap<String, String>,
    #[prost(map = "string, string", tag = "11")]
    pub options: HashMap<String, String>,
    #[prost(map = "string, string", tag = "12")]
    pub labels: HashMap<String, String>,
    #[prost(message, optional, tag = "13")]
    pub created_at: Option<prost_types::Timestamp>,
    /// The interface on the host; empty if there is none.
    #[prost(string, tag = "14")]
    pub bridge: String,
    /// Whether the interface existed before the network: then it is not removed with the network.
    #[prost(bool, tag = "15")]
    pub preexisting: bool,
    #[prost(bool, tag = "16")]
    pub predefined: bool,
    /// The scope that a plugin stated at the creation: `local` or `global`. Empty means local.
    #[prost(string, tag = "17")]
    pub scope: String,
}

/// A network or endpoint of which a plugin may have been told. Unless a record says that it exists, the plugin has to
/// be told of its end.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Owed {
    /// The network, or the network of the endpoint.
    #[prost(message, optional, tag = "1")]
    pub network: Option<Network>,
    #[prost(message, optional, tag = "2")]
    pub endpoint: Option<Endpoint>,
    /// The endpoint's network namespace.
    #[prost(string, tag = "3")]
    pub netns: String,
}

/// A subnet of a network.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Subnet {
    #[prost(string, tag = "1")]
    pub subnet: String,
    #[prost(string, tag = "2")]
    pub ip_range: String,
    #[prost(string, tag = "3")]
    pub gateway: String,
    #[prost(map = "string, string", tag = "4")]
    pub auxiliary: HashMap<String, String>,
    /// Whether IPAM chose the subnet.
    #[prost(bool, tag = "5")]
    pub chosen: bool,
    /// Whether IPAM chose the gateway in a subnet of the user's.
    #[prost(bool, tag = "6")]
    pub gateway_chosen: bool,
    /// The pool's id in IPAM. Empty in records from before IPAM plugins existed.
    #[prost(string, tag = "7")]
    pub pool: String,
}

/// A network namespace with everything that is configured in it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Netns {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(string, tag = "3")]
    pub hostname: String,
    #[prost(message, repeated, tag = "4")]
    pub endpoints: Vec<Endpoint>,
    #[prost(message, repeated, tag = "5")]
    pub ports: Vec<Port>,
    #[prost(string, repeated, tag = "6")]
    pub dns_servers: Vec<String>,
    #[prost(map = "string, string", tag = "7")]
    pub sysctls: HashMap<String, String>,
    /// The requested ports, whether the host or a plugin publishes them. Empty in records from before plugins
    /// published ports.
    #[prost(message, repeated, tag = "8")]
    pub mappings: Vec<Mapping>,
    /// The ports that the container exposes.
    #[prost(message, repeated, tag = "9")]
    pub exposed: Vec<Exposed>,
}

/// A port that is to be published.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Mapping {
    /// The protocol: `tcp`, `udp`, `sctp`.
    #[prost(string, tag = "1")]
    pub protocol: String,
    #[prost(uint32, tag = "2")]
    pub container_port: u32,
    /// The host's address; empty for all.
    #[prost(string, tag = "3")]
    pub host_ip: String,
    /// The first and the last port of the range; both 0 for any ephemeral port.
    #[prost(uint32, tag = "4")]
    pub first: u32,
    #[prost(uint32, tag = "5")]
    pub last: u32,
}

/// A port at which a container listens.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Exposed {
    /// The protocol: `tcp`, `udp`, `sctp`.
    #[prost(string, tag = "1")]
    pub protocol: String,
    #[prost(uint32, tag = "2")]
    pub port: u32,
}

/// A network namespace's interface on a network.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Endpoint {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(string, tag = "2")]
    pub network: String,
    /// The name of the interface in the network namespace.
    #[prost(string, tag = "3")]
    pub interface: String,
    /// The name of the interface on the host.
    #[prost(string, tag = "4")]
    pub veth: String,
    /// The IPv4 address with its prefix; empty if there is none.
    #[prost(string, tag = "5")]
    pub ipv4: String,
    #[prost(string, tag = "6")]
    pub ipv6: String,
    #[prost(string, tag = "7")]
    pub mac: String,
    #[prost(string, repeated, tag = "8")]
    pub aliases: Vec<String>,
    /// `container:alias`.
    #[prost(string, repeated, tag = "9")]
    pub links: Vec<String>,
    #[prost(map = "string, string", tag = "10")]
    pub options: HashMap<String, String>,
    #[prost(int32, tag = "11")]
    pub gateway_priority: i32,
    #[prost(string, tag = "12")]
    pub ipv4_gateway: String,
    #[prost(string, tag = "13")]
    pub ipv6_gateway: String,
    /// The name of a plugin's link on the host, before it was moved into the network namespace.
    #[prost(string, tag = "14")]
    pub source: String,
    /// Routes of a plugin besides the default route.
    #[prost(message, repeated, tag = "15")]
    pub routes: Vec<StaticRoute>,
    /// Whether the plugin was told that the default route leads through this endpoint.
    #[prost(bool, tag = "16")]
    pub way_out: bool,
}

/// A route through an endpoint's interface.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct StaticRoute {
    /// The destination with its prefix.
    #[prost(string, tag = "1")]
    pub destination: String,
    /// The next hop; empty if the destination is on the link.
    #[prost(string, tag = "2")]
    pub next_hop: String,
}

/// What the service switched on of the host's forwarding, in one boot and network namespace.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Forwarding {
    /// `/proc/sys/kernel/random/boot_id`
    #[prost(string, tag = "1")]
    pub boot: String,
    /// The inode of the network namespace.
    #[prost(uint64, tag = "2")]
    pub namespace: u64,
    /// Whether forwarding of IPv4 was off before.
    #[prost(bool, tag = "3")]
    pub ipv4: bool,
    /// Whether forwarding of IPv6 was off before.
    #[prost(bool, tag = "4")]
    pub ipv6: bool,
}

/// A published port. It stays allocated even while no endpoint can serve it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Port {
    /// The protocol: `tcp`, `udp`, `sctp`.
    #[prost(string, tag = "1")]
    pub protocol: String,
    #[prost(uint32, tag = "2")]
    pub container_port: u32,
    #[prost(string, tag = "3")]
    pub host_ip: String,
    #[prost(uint32, tag = "4")]
    pub host_port: u32,
}

impl Network {
    /// The scope of the network.
    pub fn scope(&self) -> &str {
        if self.scope.is_empty() { "local" } else { &self.scope }
    }

    /// Whether 127.0.0.11 answers in the network's namespaces.
    pub fn name_service(&self) -> bool {
        !self.predefined
    }

    /// The subnet that contains an address.
    pub fn subnet_of(&self, address: IpAddr) -> Option<&Subnet> {
        self.subnets.iter().find(|subnet| subnet.net().is_some_and(|net| net.contains(&address)))
    }

    /// The network's subnets.
    pub fn nets(&self) -> impl Iterator<Item = IpNet> + '_ {
        self.subnets.iter().filter_map(Subnet::net)
    }

    /// The addresses of the gateways with their prefixes.
    pub fn gateways(&self) -> Vec<IpNet> {
        let one = |subnet: &Subnet| {
            let net = subnet.net()?;
            IpNet::new(subnet.gateway.parse().ok()?, net.prefix_len()).ok()
        };
        self.subnets.iter().filter_map(one).collect()
    }
}

impl From<&PortMapping> for Mapping {
    fn from(mapping: &PortMapping) -> Mapping {
        let (first, last) = mapping.range.unwrap_or_default();
        Mapping {
            protocol: mapping.protocol.name().to_owned(),
            container_port: u32::from(mapping.container_port),
            host_ip: mapping.host.map(|host| host.to_string()).unwrap_or_default(),
            first: u32::from(first),
            last: u32::from(last),
        }
    }
}

impl Mapping {
    /// The requested port.
    pub fn asked(&self) -> Option<PortMapping> {
        let number = |number: u32| u16::try_from(number).ok();
        let range = (number(self.first)?, number(self.last)?);
        Some(PortMapping {
            protocol: Protocol::parse(&self.protocol)?,
            container_port: number(self.container_port)?,
            host: self.host_ip.parse().ok(),
            range: (range != (0, 0)).then_some(range),
        })
    }
}

impl From<&ExposedPort> for Exposed {
    fn from(port: &ExposedPort) -> Exposed {
        Exposed { protocol: port.protocol.name().to_owned(), port: u32::from(port.number) }
    }
}

impl Owed {
    /// The end of a network, for its plugin.
    pub fn network(network: &Network) -> Owed {
        Owed { network: Some(network.clone()), ..Owed::default() }
    }

    /// The end of an endpoint, for its plugin.
    pub fn endpoint(network: &Network, endpoint: &Endpoint, netns: &str) -> Owed {
        let (network, endpoint) = (Some(network.clone()), Some(endpoint.clone()));
        Owed { network, endpoint, netns: netns.to_owned() }
    }

    /// The id of the network or endpoint.
    pub fn id(&self) -> &str {
        let network = self.network.as_ref().map(|network| network.id.as_str());
        self.endpoint.as_ref().map(|endpoint| endpoint.id.as_str()).or(network).unwrap_or_default()
    }
}

impl Subnet {
    /// The subnet's addresses.
    pub fn net(&self) -> Option<IpNet> {
        self.subnet.parse().ok()
    }
}

impl Endpoint {
    /// The IPv4 address with its prefix.
    pub fn ipv4(&self) -> Option<IpNet> {
        self.ipv4.parse().ok()
    }

    /// The IPv6 address with its prefix.
    pub fn ipv6(&self) -> Option<IpNet> {
        self.ipv6.parse().ok()
    }

    /// The addresses, IPv4 first.
    pub fn nets(&self) -> Vec<IpNet> {
        self.ipv4().into_iter().chain(self.ipv6()).collect()
    }
}

impl Netns {
    /// The first twelve digits of the container's id.
    pub fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }

    /// The endpoint on a network.
    pub fn endpoint_on(&self, network: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.network == network)
    }

    /// All names that the name service answers for an endpoint: name, aliases, short id, hostname; each once.
    pub fn dns_names(&self, endpoint: &Endpoint) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let all = [self.name.as_str()]
            .into_iter()
            .chain(endpoint.aliases.iter().map(String::as_str))
            .chain([self.short_id(), self.hostname.as_str()]);
        for name in all {
            if !name.is_empty() && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        names
    }
}

/// Networks by id.
pub type Networks = BTreeMap<String, Network>;

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    /// A record of a network namespace from when the table got its name.
    const STORED: &str = concat!(
        "0a02633112036170701a04686f7374223f0a016512016e1a0465746830220276312a0b31302e302e302e322f32343a11",
        "30323a30303a30303a30303a30303a30314203776562620831302e302e302e312a130a0374637010501a07302e302e30",
        "2e3020903f3207312e312e312e31",
    );

    #[test]
    fn what_was_stored_is_read_and_written_as_it_was() {
        let bytes = hex::decode(STORED).unwrap();
        let netns = Netns::decode(bytes.as_slice()).unwrap();
        assert_eq!((netns.id.as_str(), netns.name.as_str(), netns.hostname.as_str()), ("c1", "app", "host"));
        let endpoint = &netns.endpoints[0];
        assert_eq!((endpoint.network.as_str(), endpoint.interface.as_str()), ("n", "eth0"));
        assert_eq!(endpoint.ipv4().unwrap().to_string(), "10.0.0.2/24");
        assert_eq!(endpoint.ipv4_gateway, "10.0.0.1");
        assert_eq!((netns.ports[0].container_port, netns.ports[0].host_port), (80, 8080));
        assert_eq!(netns.dns_servers, ["1.1.1.1"]);
        assert_eq!(netns.encode_to_vec(), bytes);
    }
}
