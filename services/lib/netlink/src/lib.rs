//! The kernel's network: links, addresses, routes, namespaces and nf_tables over netlink.
//!
//! Every call is synchronous: the kernel carries out a netlink request during `send`, so a call takes as long as the
//! kernel's work (20 µs to 300 µs; deleting a link: 20 ms), and async callers use a blocking thread. This crate
//! spawns nothing.
//!
//! A socket belongs for ever to the network namespace in which it was opened. A program works in another namespace by
//! opening its sockets there once, on a thread of its own ([`Namespace::run`]), and using them from any thread.
//!
//! - [`message`], [`socket`]: messages, acknowledgements and dumps;
//! - [`Namespace`]: network namespaces, anonymous and pinned;
//! - [`Route`]: links, addresses, routes; [`sysctl`]: settings that only /proc/sys has;
//! - [`nft`]: nf_tables, in atomic batches; [`Conntrack`]: forgetting flows.

mod abi;
pub mod conntrack;
mod error;
pub mod input;
pub mod mac;
pub mod message;
pub mod netns;
pub mod nft;
pub mod route;
pub mod socket;
pub mod sysctl;

pub use conntrack::Conntrack;
pub use error::{Error, Result, or_exists, or_missing};
pub use mac::Mac;
pub use netns::Namespace;
pub use route::{Link, Port, Route, Veth};
