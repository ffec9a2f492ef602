//! `IpamDriver`: subnets, and the addresses in them.
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
//! Unlike those of all other interfaces, an answer that is a refusal says so in `Error`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::or_default;

/// The option of an address that says what it is for, and the value that it has for a network's gateway.
pub const REQUEST_ADDRESS_TYPE: &str = "RequestAddressType";
/// An address that is a network's gateway.
pub const GATEWAY: &str = "com.docker.network.gateway";
/// The option of an address with the MAC address of the endpoint that is to have it.
pub const MAC_ADDRESS: &str = "com.docker.network.endpoint.macaddress";

/// What an allocator needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Capabilities {
    /// Addresses are given by MAC addresses.
    #[serde(rename = "RequiresMACAddress")]
    pub requires_mac_address: bool,
    /// It keeps nothing: what is on record is asked for again at each start.
    pub requires_request_replay: bool,
}

/// Where subnets must not overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AddressSpaces {
    /// Of one machine's networks.
    #[serde(deserialize_with = "or_default")]
    pub local_default_address_space: String,
    /// Of networks that machines share.
    #[serde(deserialize_with = "or_default")]
    pub global_default_address_space: String,
}

/// A subnet to be given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PoolRequest {
    /// One of [`AddressSpaces`].
    pub address_space: String,
    /// The subnet; empty for one that the allocator chooses.
    pub pool: String,
    /// The part of it that addresses are chosen from; or empty.
    pub sub_pool: String,
    /// The user's (`--ipam-opt`).
    #[serde(deserialize_with = "or_default")]
    pub options: BTreeMap<String, String>,
    /// Of the sixth version.
    #[serde(rename = "V6")]
    pub v6: bool,
}

/// A subnet that was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GivenPool {
    /// What the allocator calls it.
    #[serde(rename = "PoolID")]
    pub pool_id: String,
    /// The subnet.
    pub pool: String,
    /// What else it says of it.
    #[serde(deserialize_with = "or_default")]
    pub data: BTreeMap<String, String>,
}

/// A subnet by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Pool {
    /// What the allocator calls it.
    #[serde(rename = "PoolID")]
    pub pool_id: String,
}

/// An address to be given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AddressRequest {
    /// What the allocator calls the subnet.
    #[serde(rename = "PoolID")]
    pub pool_id: String,
    /// The address; empty for any.
    pub address: String,
    /// What it is for; `null` for nothing.
    pub options: Option<BTreeMap<String, String>>,
}

/// An address that was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GivenAddress {
    /// With the length of its subnet's prefix.
    #[serde(deserialize_with = "or_default")]
    pub address: String,
    /// What else the allocator says of it.
    #[serde(deserialize_with = "or_default")]
    pub data: BTreeMap<String, String>,
}

/// An address to be taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Address {
    /// What the allocator calls the subnet.
    #[serde(rename = "PoolID")]
    pub pool_id: String,
    /// Without the length of a prefix.
    pub address: String,
}
