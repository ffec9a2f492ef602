//! Services in memory, for the tests of those who call them.
//!
//! A fake behaves: it implements the traits of its promise in `gantry-api`, passes the same suite of `gantry-contract` as
//! the service does (`tests/`), and is served on sockets by the same server. What a test wants to know or to arrange
//! beyond the promise (what is there, what was leased) are methods of the fake's own. It keeps its state in one mutex
//! that is never held over an await, and has no times, retries or limits that the promise does not name.
//!
//! A test that needs another behaviour than this, a peer that hangs, lies or dies, wraps the fake or answers by itself:
//! the fake has no switches for it.
//!
//! Only for tests: nothing but a `dev-dependency` may name this crate.

mod content;
mod diff;
mod events;
mod gc;
mod leases;
mod network;
mod refused;
mod serving;
mod snapshots;
mod volumes;

pub use content::{Content, Filler, Follower, Reader, Writer};
pub use diff::Diff;
pub use events::{Events, Heard};
pub use gc::Collector;
pub use leases::Leases;
pub use network::Network;
pub use refused::Refused;
pub use serving::{Serving, routes};
pub use snapshots::{Snapshots, Snapshotter, Unpacker, Unpacking};
pub use volumes::Volumes;
