//! `docker cp` both ways, and `docker export`: parts of a container's file system as tar.
//!
//! A running container is entered through `/proc/<pid>/root`, so that all its mounts are there; one at rest through a mount of
//! its root that is in no mount table, and through the sources of its own mounts by the longest destination, and of those
//! below it. Every name is resolved inside that root, whatever symlinks the container or the tar may hold.

pub mod pack;
pub mod place;
pub mod serve;
pub mod stat;
pub mod unpack;
