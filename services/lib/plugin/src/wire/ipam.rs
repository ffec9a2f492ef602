//! `IpamDriver`: subnets and their addresses.
//!
//! | method | asked | answered |
//! | --- | --- | --- |
//! | `GetCapabilities` | nothing | [`Capabilities`] |
//! | `GetDefaultAddressSpaces` | nothing | [`AddressSpaces`] |
//! | `RequestPool` | [`PoolRequest`] | [`GivenPool`] |
//! | `ReleasePool` | [`Pool`] | nothing |
//! | `RequestAddress` | [`AddressRequest`] | [`GivenAddress`] |
//! | `ReleaseAddress` | [`Address`] | nothing |
//!
//! Unlike in all other interfaces, a refusal is in the field `Error`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::or_default;

/// The option of an address with its purpose, which is [`GATEWAY`] for a network's gateway.
pub const REQUEST_ADDRESS_TYPE: &str = "RequestAddressType";
/// The purpose of a network's gateway.
pub const GATEWAY: &str = "com.docker.network.gateway";
/// The option of an address with the MAC address of its endpoint.
pub const MAC_ADDRESS: &str = "com.docker.network.endpoint.macaddress";

/// What a driver needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Capabilities {
    /// It allocates by MAC address.
    #[serde(rename = "RequiresMACAddress")]
    pub requires_mac_address: bool,
    /// It keeps no allocations: the service requests the recorded ones again at each start.
    pub requires_request_replay: bool,
}

/// The address spaces, in each of which subnets must not overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AddressSpaces {
    /// The space of networks of one host.
    #[serde(deserialize_with = "or_default")]
    pub local_default_address_space: String,
    /// The space of networks that hosts share.
    #[serde(deserialize_with = "or_default")]
    pub global_default_address_space: String,
}

/// A request for a subnet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PoolRequest {
    /// One of [`AddressSpaces`].
    pub address_space: String,
    /// The subnet; empty: the driver chooses.
    pub pool: String,
    /// The part of the subnet that addresses are allocated from; may be empty.
    pub sub_pool: String,
    /// The user's options (`--ipam-opt`).
    #[serde(deserialize_with = "or_default")]
    pub options: BTreeMap<String, String>,
    /// It is for IPv6.
    #[serde(rename = "V6")]
    pub v6: bool,
}

/// An allocated subnet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GivenPool {
    /// The driver's id of the pool.
    #[serde(rename = "PoolID")]
    pub pool_id: String,
    /// The subnet.
    pub pool: String,
    /// Further facts.
    #[serde(deserialize_with = "or_default")]
    pub data: BTreeMap<String, String>,
}

/// A pool by its id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Pool {
    /// The driver's id of the pool.
    #[serde(rename = "PoolID")]
    pub pool_id: String,
}

/// A request for an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AddressRequest {
    /// The driver's id of the pool.
    #[serde(rename = "PoolID")]
    pub pool_id: String,
    /// The address; empty: any.
    pub address: String,
    /// The options; `null` for none.
    pub options: Option<BTreeMap<String, String>>,
}

/// An allocated address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GivenAddress {
    /// The subnet with its prefix length.
    #[serde(deserialize_with = "or_default")]
    pub address: String,
    /// Further facts.
    #[serde(deserialize_with = "or_default")]
    pub data: BTreeMap<String, String>,
}

/// An address to release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Address {
    /// The driver's id of the pool.
    #[serde(rename = "PoolID")]
    pub pool_id: String,
    /// The address without a prefix length.
    pub address: String,
}
