//! `docker cp` both ways, and `docker export`: parts of a container's file system as tar.
//!
//! A container's file system is its root with its volumes and binds mounted over it; [`gantry_rooted::View`] composes
//! it from descriptors. The engine reads from a mount of the root that is in no mount table. It writes into such a
//! mount too while the container is not running, and through the root of the container's init process while the
//! container runs. Every name is resolved inside that file system, whatever symlinks the container or the tar holds,
//! and whatever a running container renames meanwhile.

pub mod pack;
pub mod place;
pub mod serve;
pub mod stat;
pub mod unpack;

/// Words an error of the kernel as Docker's clients know it: `not a directory`.
pub(crate) fn words(error: &std::io::Error) -> String {
    let text = error.to_string().to_lowercase();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}
