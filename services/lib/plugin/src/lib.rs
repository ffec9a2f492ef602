//! Docker's plugin protocol, the side that asks: finding plugins by their names, and calling them.
//!
//! A plugin is a process of somebody else's that answers HTTP on a socket: each call is `POST /Interface.Method` with a JSON
//! document, and so is the answer. What it can do it says when it is asked for the first time (`/Plugin.Activate`).
//!
//! ```text
//! /run/docker/plugins/NAME.sock, NAME/NAME.sock           a unix socket
//! /etc/docker/plugins, then /usr/lib/docker/plugins:
//!     NAME.spec, NAME/NAME.spec                           an address: unix:///path, tcp://host:port, https://host:port
//!     NAME.json, NAME/NAME.json                           {"Addr": "…", "TLSConfig": {"CAFile", "CertFile", "KeyFile"}}
//! ```
//!
//! # How to ask one
//!
//! ```no_run
//! # use gantry_plugin::{Folders, LONG, Plugins, interface, wire::volume};
//! # async fn example() -> Result<(), gantry_plugin::Error> {
//! let plugins = Plugins::new(Folders::default());         // once, in app.rs; the folders are a setting (`plugins`)
//! let plugin = plugins.get("dir", interface::VOLUME).await?; // found, activated, and one that implements it
//! let asked = volume::Named { name: "data".to_owned() };
//! let found: volume::GetResponse = plugin.call("VolumeDriver.Get", &asked, LONG).await?;
//! # Ok(()) }
//! ```
//!
//! The documents of each interface are in [`wire`], for both sides: `plugins/sdk` serves them. An answer that is a stream is
//! asked for by [`Plugin::stream`]. An error that the plugin tells (`{"Err": "…"}`) is [`Error::Refused`], in its words.
//!
//! # Invariants
//!
//! - A plugin is not trusted: every call has a deadline, every answer a bound ([`ANSWER`]), and no call holds a lock.
//! - A plugin that is away is waited for as dockerd does it: 1, 2, 4 and 8 seconds, then the call fails. Its place is looked
//!   up at each attempt, so that one that comes back elsewhere is found. A name of which there is no trace fails at once,
//!   unless it is asked for by [`Plugins::wait_for`].
//! - A name never leads out of the folders.

mod connection;
mod error;
mod folders;
mod patience;
mod place;
mod plugin;
mod registry;
pub mod wire;

pub use error::{Error, Result};
pub use folders::Folders;
pub use patience::Patience;
pub use place::{Certificates, Place};
pub use plugin::{Plugin, Stream};
pub use registry::Plugins;

/// The most bytes that an answer may have.
pub const ANSWER: usize = 16 << 20;

/// A deadline for what a plugin does at once.
pub const SHORT: std::time::Duration = std::time::Duration::from_secs(60);

/// A deadline for what may have to wait for others, as a mount of a distant file system.
pub const LONG: std::time::Duration = std::time::Duration::from_secs(120);

/// What a plugin may say that it implements.
pub mod interface {
    /// Volumes.
    pub const VOLUME: &str = "VolumeDriver";
    /// Containers' logs.
    pub const LOG: &str = "LogDriver";
    /// Networks.
    pub const NETWORK: &str = "NetworkDriver";
    /// Subnets and addresses.
    pub const IPAM: &str = "IpamDriver";
    /// Whether a request may be made.
    pub const AUTHORIZATION: &str = "authz";
}
