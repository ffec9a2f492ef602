//! The kernel's network: links, addresses, routes, namespaces and nf_tables over netlink.
//!
//! Everything here is synchronous: a netlink request is carried out by the kernel while `send` runs, so a
//! call costs what the kernel's work costs (20 µs to 300 µs; deleting a link: 20 ms) and callers in async
//! code use a blocking thread. Nothing is ever spawned.
//!
//! A socket belongs for ever to the network namespace it was opened in. So a program works inside another
//! namespace by opening its sockets there once, on a thread of its own ([`Namespace::run`]), and using them from anywhere.
//!
//! - [`message`], [`socket`]: the wire, its acknowledgements and dumps;
//! - [`Namespace`]: network namespaces, anonymous and pinned in the file system;
//! - [`Route`]: links, addresses, routes; [`sysctl`]: what only /proc/sys offers;
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
