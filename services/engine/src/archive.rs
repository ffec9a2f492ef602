//! `docker cp` both ways, and `docker export`: parts of a container's file system as tar.
//!
//! A container's file system is its root with its volumes and binds over it, put together of descriptors
//! ([`gantry_rooted::View`]). What is read comes from a mount of the root that is in no mount table; what is written
//! goes into such a mount too while the container is at rest, and through its init's root while it runs. Every name is
//! resolved inside that file system, whatever symlinks the container or the tar may hold, and whatever a running
//! container renames meanwhile.

pub mod pack;
pub mod place;
pub mod serve;
pub mod stat;
pub mod unpack;

/// What the kernel says to an error, in the words that Docker's clients know: `not a directory`.
pub(crate) fn words(error: &std::io::Error) -> String {
    let text = error.to_string().to_lowercase();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}
