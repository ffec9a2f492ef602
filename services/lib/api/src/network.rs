//! What network promises: networks, and network namespaces with endpoints on them.
//!
//! ```text
//!            create                 remove
//!   (none) ─────────▶ network ───────────────▶ (none)      refused while there are endpoints
//!
//!            attach                       connect ⇄ disconnect          detach
//!   (none) ─────────▶ network namespace ───────────────────────▶ … ──────────────▶ (none)
//! ```
//!
//! - Networks are found by id, name, or the beginning of an id, in this order. `bridge`, `host` and `none` are always
//!   there: nobody makes or removes them (`PERMISSION_DENIED`).
//! - No two networks have one name (`ALREADY_EXISTS`), or overlapping subnets (`FAILED_PRECONDITION`).
//! - A network namespace's id is its container's. Attaching is idempotent: the same id with the same networks answers with
//!   what there is; with others it is refused (`FAILED_PRECONDITION`). Whatever fails leaves nothing behind.
//! - No address of a network is given twice at a time, and none but the requested one is taken for a request: a taken one
//!   is `PERMISSION_DENIED`, one of no subnet `INVALID_ARGUMENT`, a full subnet `RESOURCE_EXHAUSTED`.
//! - A published port is one container's on a host address (`FAILED_PRECONDITION`).
//! - Detaching returns when addresses and ports are free again. What is not attached is detached already.
//! - What is not there is `NOT_FOUND`.

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
pub use port::{PortMapping, Protocol, PublishedPort};
pub use spec::{Ipam, Network, NetworkSpec, Subnet};

use crate::Promise;

/// Looks at networks.
pub trait Inspect: Promise {
    /// A network, by id, name, or the beginning of its id.
    fn network(&self, reference: &str) -> impl Future<Output = Result<Network, Self::Error>> + Send;

    /// All networks, by name.
    fn networks(&self) -> impl Future<Output = Result<Vec<Network>, Self::Error>> + Send;
}

/// Makes and removes networks.
pub trait Manage: Promise {
    /// Makes a network. It is durable when this returns.
    fn create(&self, spec: NetworkSpec) -> impl Future<Output = Result<Network, Self::Error>> + Send;

    /// Removes a network that nothing is on, and answers with what it was.
    fn remove(&self, reference: &str) -> impl Future<Output = Result<Network, Self::Error>> + Send;

    /// Takes the host's rules and interfaces away until the service starts again; the records stay. Refused while there is
    /// a network namespace. Idempotent.
    fn withdraw(&self) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Puts containers on networks.
pub trait Attach: Promise {
    /// Makes a network namespace and connects it.
    fn attach(&self, spec: NetnsSpec) -> impl Future<Output = Result<Netns, Self::Error>> + Send;

    /// Frees all that a network namespace has.
    fn detach(&self, id: &str) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Puts a live network namespace on one more network.
    fn connect(
        &self,
        id: &str,
        endpoint: EndpointSpec,
    ) -> impl Future<Output = Result<Netns, Self::Error>> + Send;

    /// Takes a live network namespace off a network.
    fn disconnect(&self, id: &str, network: &str) -> impl Future<Output = Result<Netns, Self::Error>> + Send;

    /// The name that the container answers to has changed.
    fn rename(&self, id: &str, name: &str) -> impl Future<Output = Result<Netns, Self::Error>> + Send;

    /// A network namespace.
    fn netns(&self, id: &str) -> impl Future<Output = Result<Netns, Self::Error>> + Send;

    /// All network namespaces, by id.
    fn all_netns(&self) -> impl Future<Output = Result<Vec<Netns>, Self::Error>> + Send;
}

/// All of it.
pub trait Service: Inspect + Manage + Attach {}

impl<S: Inspect + Manage + Attach> Service for S {}
