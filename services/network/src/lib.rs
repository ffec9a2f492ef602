//! The network service: networks, endpoints, addresses, published ports, names.
//!
//! It owns every network namespace of a Gantry's containers, their interfaces, and the host's rules about them.
//! All traffic stays in the kernel: packets flow, and published ports answer, with or without this process. Only names are
//! answered by it, and those answer again as soon as it is back.
//!
//! ```text
//! <state>/network/db/         networks, network namespaces, what was switched on (RocksDB); addresses and ports follow from them
//! <run>/netns/<id>            a pinned network namespace each
//! <run>/network.sock          gantry.network.v1
//!
//! in the kernel, recognised by name (DIGITS come from the state directory, so that several Gantrys share a host):
//! nf_tables table `gantry`, or `gantry-DIGITS`; bridges with the alias `gantry DIGITS`; veths `vDIGITS…`
//! bridges of all Gantrys are in one link group ([`driver::bridge::GROUP`])
//! ```
//!
//! The parts: [`state`] decides, [`controller`] carries out, [`driver`]s know what networks are made of and [`ipam`] who
//! gives addresses, [`gateway`] says which endpoint is the way out; [`firewall`], `forwarding`, [`interface`] and [`links`]
//! speak to the kernel, [`names`] answers at 127.0.0.11, [`recover`] reconciles at start and [`fsck`] whenever it is asked to.
//!
//! A network namespace is a `netns` in all names: `namespace` alone is tenancy, elsewhere.
//!
//! What it does not do: a published port answers on the host's 127.0.0.1, but on ::1 no more than on any other IPv6
//! address of a host whose container has none (there is no proxy that could carry it over; clients that try `localhost`
//! fall back to 127.0.0.1). IPv6 has no counterpart of route_localnet, so ::1 itself never leads to a container. Rules of
//! others are left alone: where another program drops forwarded packets by default, its owner must let ours through.
//! macvlan, ipvlan and overlay networks are not built.
//!
//! Who calls it: the engine (containers) and the gateway (networks).

mod app;
pub mod controller;
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
pub mod names;
pub mod netns;
pub mod networks;
pub mod ports;
mod promise;
pub mod record;
pub mod recover;
mod server;
pub mod state;
mod store;

pub use app::Service;
pub use controller::Controller;
pub use error::{Error, Result};

/// 64 hexadecimal digits that nobody had before.
pub(crate) fn random_id() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

pub(crate) fn now() -> prost_types::Timestamp {
    prost_types::Timestamp::from(std::time::SystemTime::now())
}
