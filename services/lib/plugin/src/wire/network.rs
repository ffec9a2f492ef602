//! `NetworkDriver`: networks, and the interfaces by which containers are on them.
//!
//! | method | asked | answered |
//! | --- | --- | --- |
//! | `GetCapabilities` | nothing | [`Capabilities`] |
//! | `CreateNetwork` | [`Network`] | nothing |
//! | `DeleteNetwork` | [`NetworkId`] | nothing |
//! | `CreateEndpoint` | [`EndpointRequest`] | [`EndpointResponse`] |
//! | `Join` | [`JoinRequest`] | [`JoinResponse`]: a link of the host, which is moved into the network namespace |
//! | `Leave`, `DeleteEndpoint` | [`EndpointId`] | nothing |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::or_default;

/// Whether IPv4 is wanted, among a network's options.
pub const ENABLE_IPV4: &str = "com.docker.network.enable_ipv4";
/// Whether IPv6 is wanted.
pub const ENABLE_IPV6: &str = "com.docker.network.enable_ipv6";
/// Whether nothing may lead out.
pub const INTERNAL: &str = "com.docker.network.internal";
/// The user's own options (`-o`).
pub const GENERIC: &str = "com.docker.network.generic";

/// What a driver is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Capabilities {
    /// `local` or `global`.
    #[serde(deserialize_with = "or_default")]
    pub scope: String,
}

/// A network that is made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Network {
    /// 64 hexadecimal digits.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    /// What is wanted of it.
    #[serde(deserialize_with = "or_default")]
    pub options: BTreeMap<String, Value>,
    /// Its subnets.
    #[serde(rename = "IPv4Data", deserialize_with = "or_default")]
    pub ipv4_data: Vec<Subnet>,
    /// Of the sixth version.
    #[serde(rename = "IPv6Data", deserialize_with = "or_default")]
    pub ipv6_data: Vec<Subnet>,
}

/// A subnet of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Subnet {
    /// In which subnets do not overlap.
    pub address_space: String,
    /// With the length of the prefix.
    pub gateway: String,
    /// The subnet.
    pub pool: String,
    /// Addresses that are no container's, by name.
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
    /// The network's.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    /// 64 hexadecimal digits.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
}

/// An endpoint that is made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EndpointRequest {
    /// The network's.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    /// 64 hexadecimal digits.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
    /// What it has already; what is empty the driver may choose.
    pub interface: Interface,
    /// What is wanted of it.
    #[serde(deserialize_with = "or_default")]
    pub options: BTreeMap<String, Value>,
}

/// What a driver has chosen for an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EndpointResponse {
    /// Empty where it has chosen nothing.
    #[serde(deserialize_with = "or_default")]
    pub interface: Interface,
}

/// Addresses of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Interface {
    /// With the length of the prefix.
    #[serde(deserialize_with = "or_default")]
    pub address: String,
    /// With the length of the prefix.
    #[serde(rename = "AddressIPv6", deserialize_with = "or_default")]
    pub address_ipv6: String,
    /// As `02:42:ac:11:00:02`.
    #[serde(deserialize_with = "or_default")]
    pub mac_address: String,
}

/// An endpoint that is put into a network namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct JoinRequest {
    /// The network's.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    /// 64 hexadecimal digits.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
    /// What tells one network namespace from another.
    pub sandbox_key: String,
    /// What is wanted of it.
    #[serde(deserialize_with = "or_default")]
    pub options: BTreeMap<String, Value>,
}

/// How an endpoint is put there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct JoinResponse {
    /// The link.
    #[serde(deserialize_with = "or_default")]
    pub interface_name: InterfaceName,
    /// Without the length of a prefix; empty for none.
    #[serde(deserialize_with = "or_default")]
    pub gateway: String,
    /// Without the length of a prefix; empty for none.
    #[serde(rename = "GatewayIPv6", deserialize_with = "or_default")]
    pub gateway_ipv6: String,
}

/// A link's names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InterfaceName {
    /// On the host.
    pub src_name: String,
    /// In the network namespace, before its number.
    pub dst_prefix: String,
}
