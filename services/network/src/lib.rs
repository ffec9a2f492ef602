//! The network service: networks, endpoints, addresses, published ports, names.
//!
//! The service owns every network namespace of Gantry's containers, their interfaces, and the host's rules about
//! them. All traffic stays in the kernel: packets flow, and published ports work, also while this process does not
//! run. Only names are answered by the process, as soon as it is back.
//!
//! ```text
//! <state>/network/db/         networks, network namespaces, what was switched on, what plugins are to hear (RocksDB); addresses and
//!                             ports follow from them
//! <run>/netns/<id>            a pinned network namespace each
//! <run>/network.sock          gantry.network.v1
//!
//! in the kernel, recognised by name (DIGITS come from the state directory, so that several Gantrys share a host):
//! nf_tables table `gantry`, or `gantry-DIGITS`; bridges with the alias `gantry DIGITS`; veths `vDIGITS…`
//! bridges of all Gantrys are in one link group ([`driver::bridge::GROUP`])
//! ```
//!
//! The modules: [`state`] decides, [`controller`] carries out, [`driver`]s make networks, [`ipam`] allocates
//! addresses, [`gateway`] selects the endpoint of the default route. [`firewall`], `forwarding`, [`interface`] and
//! [`links`] change the kernel. [`names`] answers at 127.0.0.11, [`recover`] reconciles at the start, and [`fsck`]
//! checks on request.
//!
//! A network namespace is called `netns` everywhere in this crate; elsewhere `namespace` means containerd's
//! namespaces.
//!
//! Limits: a published port answers on the host's 127.0.0.1. It answers on ::1 no more than on any other IPv6 address
//! of a host whose container has none, because there is no proxy; clients that try `localhost` fall back to
//! 127.0.0.1. IPv6 has no counterpart of route_localnet, so ::1 itself never leads to a container. Rules of other
//! programs are left alone: if such a program drops forwarded packets by default, its administrator must allow
//! Gantry's. macvlan, ipvlan and overlay networks do not exist.
//!
//! The engine (for containers) and the gateway (for networks) call this service.

mod app;
pub mod controller;
pub mod dns;
pub mod driver;
mod error;
pub mod firewall;
mod forwarding;
pub mod fsck;
pub mod gateway;
mod host;
mod identity;
pub mod interface;
pub mod ipam;
pub mod links;
mod mac;
pub mod netns;
pub mod networks;
pub(crate) mod owed;
pub mod ports;
mod promise;
pub mod record;
pub mod recover;
mod server;
pub mod state;
mod store;

pub use app::{Service, main};
pub use controller::Controller;
pub use error::{Error, Result};

/// A random id: 64 hexadecimal digits.
pub(crate) fn random_id() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

pub(crate) fn now() -> prost_types::Timestamp {
    prost_types::Timestamp::from(std::time::SystemTime::now())
}
