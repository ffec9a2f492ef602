//! Requests to remove images, and their outcome.

use gantry_types::{Digest, Platform};

/// A request to remove an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// A name, or the beginning of an id.
    pub text: String,
    /// Whether an image in use is removed, too.
    pub force: Force,
    /// The containers' uses of images.
    pub in_use: Vec<Use>,
    /// The only platform to remove; `NOT_FOUND` if nothing exists for it.
    pub platform: Option<Platform>,
}

impl Removal {
    /// A request to remove everything that a text names, with no container in use.
    pub fn of(text: impl Into<String>) -> Self {
        Self { text: text.into(), force: Force::No, in_use: Vec::new(), platform: None }
    }
}

/// Whether an image in use is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// It is removed, unless a container that uses it runs.
    Yes,
    /// It is not removed.
    No,
}

/// A container that uses an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The container's id.
    pub container: String,
    /// The image as the container's record names it.
    pub reference: String,
    /// The image's id; empty if the container's record does not have it.
    pub image: String,
    /// Whether the container runs.
    pub running: bool,
}

/// The outcome of a removal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Familiar names that were removed.
    pub untagged: Vec<String>,
    /// For each of these names, the id of its image.
    pub untagged_from: Vec<Digest>,
    /// Ids of removed images; with a platform, digests of removed manifests.
    pub deleted: Vec<Digest>,
    /// Bytes that were freed.
    pub freed: u64,
}
