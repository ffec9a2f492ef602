//! The limits of an OCI spec's `linux.resources` as files of a cgroup.

pub mod v1;
pub mod v2;
