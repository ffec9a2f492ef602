//! Services in memory, for tests of their clients.
//!
//! A fake implements the traits of its interface in `gantry-api`, passes the same suite of `gantry-contract` as the
//! service (`tests/`), and is served on sockets by the same server code. Methods of its own let a test arrange its
//! state and look into it. A fake keeps its state in one mutex that is never held over an await, and has no times,
//! retries or limits that the interface does not name.
//!
//! A test that needs a peer that hangs, lies or dies wraps the fake or answers by itself: the fakes have no switches
//! for that.
//!
//! Only for tests: nothing but a `dev-dependency` may name this crate.

#![allow(clippy::disallowed_methods, reason = "the work of a fake ends with its test")]

mod content;
mod diff;
mod engine;
mod events;
mod gc;
mod images;
mod leases;
mod network;
mod refused;
mod serving;
mod snapshots;
mod tasks;
mod volumes;

pub use content::{Content, Filler, Follower, Reader, Writer};
pub use diff::Diff;
pub use engine::{Attached, Engine};
pub use events::{Events, Heard};
pub use gc::Collector;
pub use images::{Images, Moving, image, layer};
pub use leases::Leases;
pub use network::{Network, network};
pub use refused::Refused;
pub use serving::{Serving, routes};
pub use snapshots::{Snapshots, Snapshotter, Unpacker, Unpacking};
pub use tasks::{Program, Tasks};
pub use volumes::Volumes;
