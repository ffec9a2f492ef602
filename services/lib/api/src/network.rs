//! The promise of network: networks, and network namespaces with endpoints on them.
//!
//! ```text
//!            create                 remove
//!   (none) ─────────▶ network ───────────────▶ (none)      refused while there are endpoints
//!
//!            attach                       connect ⇄ disconnect          detach
//!   (none) ─────────▶ network namespace ───────────────────────▶ … ──────────────▶ (none)
//! ```
//!
//! - A network is found by its id, its name, or a prefix of its id, in this order. `bridge`, `host` and `none` always
//!   exist; creating or removing one is `PERMISSION_DENIED`.
//! - Each network has a name of its own (`ALREADY_EXISTS`), and subnets that overlap with no other's
//!   (`FAILED_PRECONDITION`).
//! - The id of a network namespace is its container's. Attaching is idempotent: where the namespace is attached to
//!   the same networks, it returns the namespace; where it is attached to others, it is `FAILED_PRECONDITION`. A
//!   failed call leaves nothing behind.
//! - An address is allocated to one endpoint at a time. A requested address that is taken is `PERMISSION_DENIED`, one
//!   of no subnet `INVALID_ARGUMENT`; a full subnet is `RESOURCE_EXHAUSTED`.
//! - A port of a host address is published for one container (`FAILED_PRECONDITION`).
//! - Detaching returns when addresses and ports are free. Detaching what is not attached is no error.
//! - A missing network or network namespace is `NOT_FOUND`.

pub mod client;
mod convert;
mod endpoint;
mod netns;
mod port;
pub mod server;
mod spec;

pub use client::Client;
pub use endpoint::{Address, Endpoint, EndpointSpec};
pub use netns::{Netns, NetnsSpec};
pub use port::{ExposedPort, PortMapping, Protocol, PublishedPort};
pub use spec::{Ipam, Network, NetworkSpec, Subnet};

use crate::Promise;

/// Finds networks.
pub trait Inspect: Promise {
    /// A network by its id, name, or prefix of an id.
    fn network(&self, reference: &str) -> impl Future<Output = Result<Network, Self::Error>> + Send;

    /// All networks, by name.
    fn networks(&self) -> impl Future<Output = Result<Vec<Network>, Self::Error>> + Send;

    /// The names of the drivers, in order: those that are built in, and the plugins that were in use since the service started.
    fn drivers(&self) -> impl Future<Output = Result<Vec<String>, Self::Error>> + Send;
}

/// Creates and removes networks.
pub trait Manage: Promise {
    /// Creates a network. It is durable when this returns.
    fn create(&self, spec: NetworkSpec) -> impl Future<Output = Result<Network, Self::Error>> + Send;

    /// Removes a network without endpoints. Returns what it was.
    fn remove(&self, reference: &str) -> impl Future<Output = Result<Network, Self::Error>> + Send;

    /// Removes the rules and interfaces that the service has made on the host, until the service starts again; the
    /// records stay. `FAILED_PRECONDITION` while there is a network namespace. Idempotent.
    fn withdraw(&self) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Connects containers to networks.
pub trait Attach: Promise {
    /// Makes a network namespace and connects it.
    fn attach(&self, spec: NetnsSpec) -> impl Future<Output = Result<Netns, Self::Error>> + Send;

    /// Removes a network namespace, and frees its addresses and ports.
    fn detach(&self, id: &str) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Connects a network namespace to one more network.
    fn connect(
        &self,
        id: &str,
        endpoint: EndpointSpec,
    ) -> impl Future<Output = Result<Netns, Self::Error>> + Send;

    /// Disconnects a network namespace from a network.
    fn disconnect(&self, id: &str, network: &str) -> impl Future<Output = Result<Netns, Self::Error>> + Send;

    /// Changes the container name that the name service answers to.
    fn rename(&self, id: &str, name: &str) -> impl Future<Output = Result<Netns, Self::Error>> + Send;

    /// A network namespace.
    fn netns(&self, id: &str) -> impl Future<Output = Result<Netns, Self::Error>> + Send;

    /// All network namespaces, by id.
    fn all_netns(&self) -> impl Future<Output = Result<Vec<Netns>, Self::Error>> + Send;
}

/// The whole promise.
pub trait Service: Inspect + Manage + Attach {}

impl<S: Inspect + Manage + Attach> Service for S {}
