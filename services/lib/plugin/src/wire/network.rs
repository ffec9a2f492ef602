//! `NetworkDriver`: networks, and the interfaces of containers on them.
//!
//! | method | asked | answered |
//! | --- | --- | --- |
//! | `GetCapabilities` | nothing | [`Capabilities`] |
//! | `CreateNetwork` | [`Network`] | nothing |
//! | `DeleteNetwork` | [`NetworkId`] | nothing |
//! | `CreateEndpoint` | [`EndpointRequest`] | [`EndpointResponse`] |
//! | `Join` | [`JoinRequest`] | [`JoinResponse`]: a link of the host, which the service moves into the network namespace |
//! | `ProgramExternalConnectivity` | [`ConnectivityRequest`] | nothing |
//! | `RevokeExternalConnectivity` | [`EndpointId`] | nothing |
//! | `EndpointOperInfo` | [`EndpointId`] | [`EndpointInfo`] |
//! | `Leave`, `DeleteEndpoint` | [`EndpointId`] | nothing |
//!
//! `ProgramExternalConnectivity` tells a plugin that a container's default route leads through an endpoint, with the
//! container's published ports. `RevokeExternalConnectivity` tells it of the end. A plugin that does not implement
//! these two answers with 404.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::or_default;

/// The option of a network that enables IPv4.
pub const ENABLE_IPV4: &str = "com.docker.network.enable_ipv4";
/// The option of a network that enables IPv6.
pub const ENABLE_IPV6: &str = "com.docker.network.enable_ipv6";
/// The option of a network without a way out.
pub const INTERNAL: &str = "com.docker.network.internal";
/// The option with the user's own options (`-o`).
pub const GENERIC: &str = "com.docker.network.generic";

/// The ports that a container exposes or publishes, among an endpoint's options: a list of [`TransportPort`].
pub const EXPOSED_PORTS: &str = "com.docker.network.endpoint.exposedports";
/// The ports that a container publishes, among an endpoint's options: a list of [`PortBinding`].
pub const PORT_MAP: &str = "com.docker.network.portmap";
/// The hardware address that the user requested, among an endpoint's options: its bytes in base64.
pub const MAC_ADDRESS: &str = "com.docker.network.endpoint.macaddress";
/// Whether the IPv6 default route leads through another endpoint, among the options of `ProgramExternalConnectivity`.
pub const NO_PROXY_6TO4: &str = "com.docker.network.driver.private.no_proxy_6to4";

/// The capabilities of a driver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Capabilities {
    /// `local` or `global`.
    #[serde(deserialize_with = "or_default")]
    pub scope: String,
}

/// A new network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Network {
    /// 64 hexadecimal digits.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    /// Its options.
    #[serde(deserialize_with = "or_default")]
    pub options: BTreeMap<String, Value>,
    /// Its IPv4 subnets.
    #[serde(rename = "IPv4Data", deserialize_with = "or_default")]
    pub ipv4_data: Vec<Subnet>,
    /// Its IPv6 subnets.
    #[serde(rename = "IPv6Data", deserialize_with = "or_default")]
    pub ipv6_data: Vec<Subnet>,
}

/// A subnet of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Subnet {
    /// The address space, in which subnets do not overlap.
    pub address_space: String,
    /// The gateway with its prefix length.
    pub gateway: String,
    /// The subnet.
    pub pool: String,
    /// Addresses that no container gets, by name.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub aux_addresses: BTreeMap<String, String>,
}

/// A network by its id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkId {
    /// 64 hexadecimal digits.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
}

/// An endpoint by its id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EndpointId {
    /// The network's id.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    /// 64 hexadecimal digits.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
}

/// A new endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EndpointRequest {
    /// The network's.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    /// 64 hexadecimal digits.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
    /// Its addresses; the driver may choose the empty ones.
    pub interface: Interface,
    /// Its options.
    #[serde(deserialize_with = "or_default")]
    pub options: BTreeMap<String, Value>,
}

/// The driver's choices for an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EndpointResponse {
    /// Empty when the driver has chosen nothing.
    #[serde(deserialize_with = "or_default")]
    pub interface: Interface,
}

/// Addresses of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Interface {
    /// The IPv4 address with its prefix length.
    #[serde(deserialize_with = "or_default")]
    pub address: String,
    /// The IPv6 address with its prefix length.
    #[serde(rename = "AddressIPv6", deserialize_with = "or_default")]
    pub address_ipv6: String,
    /// The hardware address, as `02:42:ac:11:00:02`.
    #[serde(deserialize_with = "or_default")]
    pub mac_address: String,
}

/// An endpoint that joins a network namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct JoinRequest {
    /// The network's.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    /// 64 hexadecimal digits.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
    /// The key of the network namespace.
    pub sandbox_key: String,
    /// Its options.
    #[serde(deserialize_with = "or_default")]
    pub options: BTreeMap<String, Value>,
}

/// The interface and routes of an endpoint that joins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct JoinResponse {
    /// The link.
    #[serde(deserialize_with = "or_default")]
    pub interface_name: InterfaceName,
    /// Without a prefix length; empty: none.
    #[serde(deserialize_with = "or_default")]
    pub gateway: String,
    /// Without a prefix length; empty: none.
    #[serde(rename = "GatewayIPv6", deserialize_with = "or_default")]
    pub gateway_ipv6: String,
    /// Further routes through its link.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub static_routes: Vec<StaticRoute>,
}

/// A route through an endpoint's link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct StaticRoute {
    /// The destination with its prefix length.
    #[serde(deserialize_with = "or_default")]
    pub destination: String,
    /// [`NEXT_HOP`] or [`CONNECTED`].
    pub route_type: i64,
    /// Without a prefix length; empty when the destination is on the link.
    #[serde(deserialize_with = "or_default")]
    pub next_hop: String,
}

/// A route through another host.
pub const NEXT_HOP: i64 = 0;
/// A route to a destination on the link.
pub const CONNECTED: i64 = 1;

/// The names of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InterfaceName {
    /// The link's name on the host.
    pub src_name: String,
    /// The prefix of its name in the network namespace, before a number.
    pub dst_prefix: String,
}

/// A port of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TransportPort {
    /// Its protocol's number in the IP header.
    pub proto: u8,
    /// The port's number.
    pub port: u16,
}

/// A published port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PortBinding {
    /// Its protocol's number in the IP header.
    pub proto: u8,
    /// The container's address; always empty.
    #[serde(rename = "IP")]
    pub ip: String,
    /// The container's port.
    pub port: u16,
    /// The host's address; empty for all.
    #[serde(rename = "HostIP")]
    pub host_ip: String,
    /// The first acceptable port of the host; 0 for any.
    pub host_port: u16,
    /// The last acceptable port of the host.
    pub host_port_end: u16,
}

/// An endpoint through which a container's default route leads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ConnectivityRequest {
    /// The network's.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    /// 64 hexadecimal digits.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
    /// The ports.
    #[serde(deserialize_with = "or_default")]
    pub options: BTreeMap<String, Value>,
}

/// A driver's facts about an endpoint. Gantry does not use them, and neither does dockerd.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EndpointInfo {
    /// The facts by name.
    #[serde(deserialize_with = "or_default")]
    pub value: BTreeMap<String, Value>,
}
