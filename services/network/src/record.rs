//! What is written down: networks and network namespaces. Addresses are text, as in the contract; [`Endpoint::ipv4`] and the
//! like read them back.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;

/// Docker's option names, which are the contract with its users.
pub mod option {
    /// The bridge's name on the host.
    pub const BRIDGE_NAME: &str = "com.docker.network.bridge.name";
    /// Whether containers of the network reach each other.
    pub const ENABLE_ICC: &str = "com.docker.network.bridge.enable_icc";
    /// Whether they leave the host under its address.
    pub const ENABLE_MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
    /// The host's address for published ports that name none.
    pub const HOST_BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";
    /// The MTU of the bridge and of the interfaces on it.
    pub const MTU: &str = "com.docker.network.driver.mtu";
    /// How IPv4 leaves and enters; `nat` is what there is.
    pub const GATEWAY_MODE_V4: &str = "com.docker.network.bridge.gateway_mode_ipv4";
    /// How IPv6 leaves and enters.
    pub const GATEWAY_MODE_V6: &str = "com.docker.network.bridge.gateway_mode_ipv6";
    /// Whether the bridge is to have no IPv4 address.
    pub const INHIBIT_IPV4: &str = "com.docker.network.bridge.inhibit_ipv4";
    /// What the names of interfaces begin with, in containers.
    pub const INTERFACE_PREFIX: &str = "com.docker.network.container_iface_prefix";
    /// Whether it has IPv4, as an option.
    pub const ENABLE_IPV4: &str = "com.docker.network.enable_ipv4";
    /// Whether it has IPv6, as an option.
    pub const ENABLE_IPV6: &str = "com.docker.network.enable_ipv6";
    /// Says that the network is the default one.
    pub const DEFAULT_BRIDGE: &str = "com.docker.network.bridge.default_bridge";
    /// An endpoint's interface in the container.
    pub const INTERFACE: &str = "com.docker.network.endpoint.ifname";
}

/// The three networks that are always there.
pub const PREDEFINED: [(&str, &str); 3] = [("bridge", "bridge"), ("host", "host"), ("none", "null")];

/// A network.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Network {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(string, tag = "2")]
    pub name: String,
    /// `bridge`, `host`, `null`.
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
    /// The host's interface; empty when there is none.
    #[prost(string, tag = "14")]
    pub bridge: String,
    /// The interface was there before the network: it stays when the network goes.
    #[prost(bool, tag = "15")]
    pub preexisting: bool,
    #[prost(bool, tag = "16")]
    pub predefined: bool,
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
    /// The subnet is not the user's.
    #[prost(bool, tag = "5")]
    pub chosen: bool,
    /// The gateway is not the user's, but the subnet is.
    #[prost(bool, tag = "6")]
    pub gateway_chosen: bool,
    /// What IPAM calls it; empty in records of the time when all pools were the default one's.
    #[prost(string, tag = "7")]
    pub pool: String,
}

/// A network namespace and what is complete into it.
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
}

/// A network namespace's interface on a network.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Endpoint {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(string, tag = "2")]
    pub network: String,
    /// In the netns.
    #[prost(string, tag = "3")]
    pub interface: String,
    /// On the host.
    #[prost(string, tag = "4")]
    pub veth: String,
    /// With prefix; empty when there is none.
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
    /// What a plugin has called its link on the host, before it was moved.
    #[prost(string, tag = "14")]
    pub source: String,
}

/// What was switched on of the host's forwarding, in one boot and network namespace.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Forwarding {
    /// `/proc/sys/kernel/random/boot_id`
    #[prost(string, tag = "1")]
    pub boot: String,
    /// The namespace's inode.
    #[prost(uint64, tag = "2")]
    pub namespace: u64,
    /// IPv4 was off before.
    #[prost(bool, tag = "3")]
    pub ipv4: bool,
    /// IPv6 was off before.
    #[prost(bool, tag = "4")]
    pub ipv6: bool,
}

/// A published port: allocated, whether or not an endpoint can serve it at the moment.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Port {
    /// `tcp`, `udp`, `sctp`.
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
    /// Whether 127.0.0.11 answers in its network namespaces.
    pub fn name_service(&self) -> bool {
        !self.predefined
    }

    /// The subnet that has an address.
    pub fn subnet_of(&self, address: IpAddr) -> Option<&Subnet> {
        self.subnets.iter().find(|subnet| subnet.net().is_some_and(|net| net.contains(&address)))
    }

    /// Its subnets.
    pub fn nets(&self) -> impl Iterator<Item = IpNet> + '_ {
        self.subnets.iter().filter_map(Subnet::net)
    }

    /// The gateways' addresses with their prefixes.
    pub fn gateways(&self) -> Vec<IpNet> {
        let one = |subnet: &Subnet| {
            let net = subnet.net()?;
            IpNet::new(subnet.gateway.parse().ok()?, net.prefix_len()).ok()
        };
        self.subnets.iter().filter_map(one).collect()
    }
}

impl Subnet {
    /// Its addresses.
    pub fn net(&self) -> Option<IpNet> {
        self.subnet.parse().ok()
    }
}

impl Endpoint {
    /// Its IPv4 address with prefix.
    pub fn ipv4(&self) -> Option<IpNet> {
        self.ipv4.parse().ok()
    }

    /// Its IPv6 address with prefix.
    pub fn ipv6(&self) -> Option<IpNet> {
        self.ipv6.parse().ok()
    }

    /// Its addresses, v4 first.
    pub fn nets(&self) -> Vec<IpNet> {
        self.ipv4().into_iter().chain(self.ipv6()).collect()
    }
}

impl Netns {
    /// The first twelve digits of the id.
    pub fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }

    /// The endpoint on a network.
    pub fn endpoint_on(&self, network: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.network == network)
    }

    /// All that the name service answers for an endpoint: name, aliases, short id, hostname; each once.
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

/// Networks by id: what the plans are made from.
pub type Networks = BTreeMap<String, Network>;

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    /// A netns as it was written when its table got its name.
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
