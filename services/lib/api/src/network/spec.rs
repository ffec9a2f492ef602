//! Networks, asked for and made.

use std::collections::HashMap;
use std::time::SystemTime;

use super::Endpoint;

/// A network to be made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetworkSpec {
    /// Its name.
    pub name: String,
    /// Its driver; empty for the default one.
    pub driver: String,
    /// Without a way out.
    pub internal: bool,
    /// For Docker's sake.
    pub attachable: bool,
    /// Whether it has IPv4.
    pub ipv4: bool,
    /// Whether it has IPv6.
    pub ipv6: bool,
    /// Its subnets.
    pub ipam: Ipam,
    /// The driver's options.
    pub options: HashMap<String, String>,
    /// The user's labels.
    pub labels: HashMap<String, String>,
}

/// Where a network's addresses come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ipam {
    /// The allocator; empty for the default one.
    pub driver: String,
    /// Its options.
    pub options: HashMap<String, String>,
    /// Subnets; those that a network lacks are chosen.
    pub subnets: Vec<Subnet>,
}

/// A subnet, as its maker wrote it: what is wrong with it, the service says in the words that Docker's clients know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subnet {
    /// The addresses.
    pub subnet: String,
    /// The part of them that is chosen from; empty for all.
    pub ip_range: String,
    /// The gateway; empty where its maker named none.
    pub gateway: String,
    /// Addresses that nobody gets.
    pub auxiliary: HashMap<String, String>,
    /// Nobody named it: nobody may ask for an address of it.
    pub chosen: bool,
}

/// A network.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `bridge`, `host`, `null`.
    pub driver: String,
    /// `local`, `global`.
    pub scope: String,
    /// Without a way out.
    pub internal: bool,
    /// For Docker's sake.
    pub attachable: bool,
    /// Whether it has IPv4.
    pub ipv4: bool,
    /// Whether it has IPv6.
    pub ipv6: bool,
    /// Its subnets.
    pub ipam: Ipam,
    /// The driver's options.
    pub options: HashMap<String, String>,
    /// The user's labels.
    pub labels: HashMap<String, String>,
    /// When it was made.
    pub created_at: SystemTime,
    /// Of live network namespaces.
    pub endpoints: Vec<Endpoint>,
    /// The host's interface; empty when there is none.
    pub bridge: String,
}
