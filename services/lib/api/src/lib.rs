//! The promises of the services: their contracts as traits, with clients and servers.
//!
//! A promise is a module named for its service. Every promise has the same parts:
//!
//! - `content.rs` (and the others): the lifecycle in prose, one trait for each capability (callers ask for the
//!   smallest), and their sum. Each implementation has one error type, [`Promise::Error`];
//! - further files beside it: the types of the traits, made of `gantry-types`, which are always valid;
//! - `convert.rs`: conversion between these types and the wire. Generated types appear only there, in `client` and in
//!   `server`;
//! - `client.rs`: the traits through the service's sockets. Every call has the deadline of its method ([`terms`]);
//! - `server.rs` (and another file where there is a data socket, [`content::files::serve`]): the gRPC service over
//!   any implementation. It is here, and not in the service, because it also serves the fakes of `gantry-fakes`.
//!
//! The suite of the same name in `gantry-contract` tests every implementation: the service's store, the store through
//! its socket, and the fake.
//!
//! The promises are [`content`], [`diff`], [`engine`], [`events`], [`gc`], [`images`], [`leases`], [`network`],
//! [`snapshots`] and [`tasks`]. Beside them:
//!
//! - [`alike!`]: conversion between two structs with the same fields;
//! - [`Peers`]: one lazily connected channel for each service of this host, and typed clients on it;
//! - [`ingest`]: the client of content's data socket, which hands out blobs as file descriptors;
//! - [`metrics`]: the metrics of all services as one text;
//! - [`terms`]: the deadlines of every method;
//! - [`time`]: protobuf timestamps;
//! - [`records`], [`fsck`]: what every service with records answers about them;
//! - [`wire`]: fields that the messages of several promises have: digests, sizes, filters.

#[macro_use]
mod alike;
mod call;
#[macro_use]
mod client;
mod carry;
pub mod content;
pub mod diff;
pub mod engine;
pub mod events;
mod filter;
pub mod fsck;
pub mod gc;
pub mod images;
pub mod ingest;
pub mod leases;
pub mod metrics;
pub mod network;
mod owner;
mod peers;
mod promise;
pub mod records;
pub mod snapshots;
pub mod tasks;
pub mod terms;
pub mod time;
pub mod wire;

pub use call::Failure;
pub use carry::to_the_end;
pub use filter::Filter;
pub use owner::Owner;
pub use peers::Peers;
pub use promise::Promise;
