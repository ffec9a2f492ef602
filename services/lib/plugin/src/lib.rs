//! The client side of Docker's plugin protocol: finds plugins by their names, and calls them.
//!
//! A plugin is another program's process that serves HTTP on a socket. Each call is `POST /Interface.Method` with a
//! JSON document, and so is its response. The first call (`/Plugin.Activate`) asks a plugin which interfaces it
//! implements.
//!
//! ```text
//! /run/docker/plugins/NAME.sock, NAME/NAME.sock           a unix socket
//! /etc/docker/plugins, then /usr/lib/docker/plugins:
//!     NAME.spec, NAME/NAME.spec                           an address: unix:///path, tcp://host:port, https://host:port
//!     NAME.json, NAME/NAME.json                           {"Addr": "…", "TLSConfig": {"CAFile", "CertFile", "KeyFile"}}
//! ```
//!
//! # Calling a plugin
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
//! The documents of each interface are in [`wire`], for both sides: `plugins/sdk` serves them. [`Plugin::stream`]
//! makes a call whose response is a stream. When a plugin refuses a call (`{"Err": "…"}`), the error is
//! [`Error::Refused`] with the plugin's message.
//!
//! # Invariants
//!
//! - A plugin is not trusted: every call has a deadline, every response a limit ([`ANSWER`]), and no call holds a
//!   lock.
//! - A call to a plugin that does not answer is repeated as dockerd does, after 1, 2, 4 and 8 seconds, and then
//!   fails. The address is looked up at each attempt, so that a plugin that has moved is found. An unknown name fails
//!   at once, except in [`Plugins::wait_for`].
//! - A name never leads out of the directories.

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

/// The longest response in bytes.
pub const ANSWER: usize = 16 << 20;

/// The deadline for what a plugin does at once.
pub const SHORT: std::time::Duration = std::time::Duration::from_secs(60);

/// The deadline for what may have to wait, such as a mount of a remote file system.
pub const LONG: std::time::Duration = std::time::Duration::from_secs(120);

/// The interfaces that a plugin may implement.
pub mod interface {
    /// Volumes.
    pub const VOLUME: &str = "VolumeDriver";
    /// Logs of containers.
    pub const LOG: &str = "LogDriver";
    /// Networks.
    pub const NETWORK: &str = "NetworkDriver";
    /// Allocation of subnets and addresses.
    pub const IPAM: &str = "IpamDriver";
    /// Authorization of requests.
    pub const AUTHORIZATION: &str = "authz";
}
