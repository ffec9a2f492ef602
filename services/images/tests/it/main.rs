//! The images service through its real sockets: against Debian's `docker-registry`, against a registry that lies, and
//! with small peers that behave as content, snapshots and control do.

#![allow(clippy::disallowed_methods, reason = "the work of a test ends with it")]

mod archives;
mod bundle;
mod contract;
mod liar;
mod peers;
mod pulls;
mod registry;
mod remotes;
mod removals;
mod transfers;
