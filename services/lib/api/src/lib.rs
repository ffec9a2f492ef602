//! What each service promises, and how it is called.
//!
//! A promise is a module named for its service, and always has the same parts, so that who knows one finds his way in
//! all:
//!
//! - `content.rs`: the lifecycle in prose, the traits, each the size of one capability (callers ask for the smallest),
//!   and their sum; every implementation fails with one type, [`Promise::Error`];
//! - what the traits speak of, in files beside it, made of `gantry-types`: what does not parse does not get in;
//! - `convert.rs`: between those and the wire. Generated types appear there, in `client` and in `server`, nowhere else;
//! - `client.rs`: the traits through the service's sockets, every call on the [`terms`] of its method;
//! - `server.rs` (and another file where there is a data socket, [`content::files::serve`]): gRPC in, trait out, for
//!   whatever keeps the promise. It is here, and not in the service, because the fakes of `gantry-fakes` are served by the
//!   same one.
//!
//! Who implements the traits proves it with the suite of the same name in `gantry-contract`: the service's store, the
//! store through its socket, the fake.
//!
//! Promises: [`content`], [`diff`], [`engine`] (what it speaks of), [`events`], [`gc`], [`leases`], [`network`],
//! [`snapshots`]. Beside them:
//!
//! - [`Peers`]: one lazily connected channel per service of this machine, and typed clients on it;
//! - [`ingest`]: content's data socket, where blobs change hands as descriptors;
//! - [`metrics`]: the metrics of all services as one text;
//! - [`terms`]: how long the callers of each method wait;
//! - [`time`]: protobuf timestamps;
//! - [`records`], [`fsck`]: what each service with records can be asked about them;
//! - [`wire`]: fields of messages that every promise has: digests, sizes, filters.

mod call;
mod carry;
pub mod content;
pub mod diff;
pub mod engine;
pub mod events;
pub mod fsck;
pub mod gc;
pub mod ingest;
pub mod leases;
pub mod metrics;
pub mod network;
mod owner;
mod peers;
mod promise;
pub mod records;
pub mod snapshots;
pub mod terms;
pub mod time;
pub mod wire;

pub use call::Failure;
pub use carry::to_the_end;
pub use owner::Owner;
pub use peers::Peers;
pub use promise::Promise;
