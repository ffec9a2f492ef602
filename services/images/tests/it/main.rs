//! The images service through its real sockets: against Debian's `docker-registry`, against a registry that lies, and
//! with small peers that behave as content, snapshots and control do.

mod archives;
mod bundle;
mod liar;
mod peers;
mod pulls;
mod registry;
mod remotes;
mod removals;
mod transfers;
