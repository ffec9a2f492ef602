//! The interface to images: images by name, from registries, archives and containers, and back.
//!
//! ```text
//!   registry ── pull ──▶ ┌───────────────────────────────┐ ── push ──▶ registry
//!   archive ─── load ──▶ │ names ──▶ target: an index or │ ── save ──▶ archive
//!   container ─ commit ▶ │           a manifest          │ ── unpack ▶ snapshots
//!                        └───────────────────────────────┘
//!                 tag: another name      remove: one name fewer, or the image with its last name
//! ```
//!
//! - An image is the content of its target; its id is the target's digest. Names are canonical references
//!   (`docker.io/library/x:latest`) that point at targets. If a name is moved to another target and was the last one
//!   of its image, the image is kept without a name ([`Record::is_dangling`]).
//! - An image is found by a short or full name, by a name with a digest, or by the beginning of its id. If several
//!   ids begin so, the error is `INVALID_ARGUMENT`; so it is for a text that can be neither.
//! - A platform selects one of an index's manifests. Without a platform, it is the best of the manifests that exist
//!   here for this host, or any. If none exists here, the error is `NOT_FOUND`.
//! - An image that a container uses is not removed (`FAILED_PRECONDITION`) unless the removal is forced. An image
//!   that a running container uses is never removed by its id. The caller passes the containers, because this service
//!   does not know them.
//! - A tag, a removal and a prune continue if their clients disconnect. A pull, a push, an unpacking and a commit end
//!   with their clients. What a pull has fetched is kept, and the next pull continues there.
//! - A registry that does not answer is `UNAVAILABLE`, one that requires other credentials `UNAUTHENTICATED`; what it
//!   does not have or show is `NOT_FOUND`. Bytes that do not match their digest are `FAILED_PRECONDITION`.
//! - An object that does not exist is `NOT_FOUND`; an unknown filter is `INVALID_ARGUMENT`.
//!
//! The record of a name is as containerd's clients know it: see [`records`]. Images are sent and received as tars on
//! a data socket: see [`archives`].

pub mod archives;
pub mod client;
pub(crate) mod convert;
mod image;
mod progress;
mod record;
pub mod records;
mod registry;
mod removal;
pub mod server;

use gantry_types::{Digest, Namespace, Platform, Reference};

pub use crate::filter::Filter;
pub use client::Client;
pub use image::{CommitSpec, Image, Layer, Look};
pub use progress::{LayerProgress, LayerState, Progress, PullEvent, PushEvent, PushProgress, PushState};
pub use record::{NewRecord, Record, RecordUpdate};
pub use registry::{Credentials, Distribution, PullSpec, PushSpec, Registry};
pub use removal::{Force, Removal, Removed, Use};

use crate::Promise;

/// Reads images.
pub trait Inspect: Promise {
    /// Returns the image that a text names, for a platform.
    fn image(
        &self,
        namespace: &Namespace,
        text: &str,
        platform: Option<&Platform>,
        look: Look,
    ) -> impl Future<Output = Result<Image, Self::Error>> + Send;

    /// Returns the namespace's images that match all filters (`dangling`, `label`, `label!`, `before`, `since`,
    /// `reference`, `until`), newest first. An image with missing parts is left out.
    fn images(
        &self,
        namespace: &Namespace,
        filters: &[Filter],
    ) -> impl Future<Output = Result<Vec<Image>, Self::Error>> + Send;
}

/// Gives names to images and removes them.
pub trait Manage: Promise {
    /// Points a name at the image that a text names. A name with a digest is `INVALID_ARGUMENT`. Idempotent.
    fn tag_image(
        &self,
        namespace: &Namespace,
        text: &str,
        name: &Reference,
    ) -> impl Future<Output = Result<Image, Self::Error>> + Send;

    /// Removes a name, or an image with all its names, and the content to which nothing refers then.
    fn remove_image(
        &self,
        namespace: &Namespace,
        removal: Removal,
    ) -> impl Future<Output = Result<Removed, Self::Error>> + Send;

    /// Removes images that no container uses and that match all filters (`dangling`, `label`, `label!`, `until`):
    /// those without a name, or with `dangling=false` all.
    fn prune_images(
        &self,
        namespace: &Namespace,
        filters: &[Filter],
        in_use: &[Use],
    ) -> impl Future<Output = Result<Removed, Self::Error>> + Send;
}

/// Makes snapshots of images.
pub trait Unpack: Promise {
    /// Makes sure that an image's layers are unpacked, by the given snapshotter or the default one. Idempotent.
    fn unpack_image(
        &self,
        namespace: &Namespace,
        text: &str,
        platform: Option<&Platform>,
        snapshotter: Option<&str>,
    ) -> impl Future<Output = Result<Image, Self::Error>> + Send;
}

/// Makes images from containers.
pub trait Commit: Promise {
    /// Makes an image from a container's root: its parent's layers, and a layer with the differences. Returns its id.
    /// The caller makes sure that the root does not change meanwhile.
    fn commit_image(
        &self,
        namespace: &Namespace,
        spec: CommitSpec,
    ) -> impl Future<Output = Result<Digest, Self::Error>> + Send;
}

/// Pulls images from registries and pushes them.
pub trait Transfer: Promise {
    /// A pull in progress; dropping it cancels the pull.
    type Pulling: Progress<Event = PullEvent, Error = Self::Error> + 'static;
    /// A push in progress; dropping it cancels the push.
    type Pushing: Progress<Event = PushEvent, Error = Self::Error> + 'static;

    /// Begins to pull and unpack. The name exists when the progress ends.
    fn pull_image(
        &self,
        namespace: &Namespace,
        spec: PullSpec,
    ) -> impl Future<Output = Result<Self::Pulling, Self::Error>> + Send;

    /// Begins to push one tag, or all tags of a repository. Content that the registry has is not sent again.
    fn push_image(
        &self,
        namespace: &Namespace,
        spec: PushSpec,
    ) -> impl Future<Output = Result<Self::Pushing, Self::Error>> + Send;
}

/// Queries registries.
pub trait Registries: Promise {
    /// Returns the target of a name at its registry, with the platforms.
    fn distribution(
        &self,
        reference: &Reference,
        credentials: &Credentials,
    ) -> impl Future<Output = Result<Distribution, Self::Error>> + Send;

    /// Checks whether the registry at an address (a host, or a URL; empty for Docker's) accepts these credentials.
    fn login(
        &self,
        address: &str,
        credentials: &Credentials,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Returns the registries that the settings name, by host.
    fn registries(&self) -> impl Future<Output = Result<Vec<Registry>, Self::Error>> + Send;
}

/// The complete interface.
pub trait Service: Inspect + Manage + Unpack + Commit + Transfer + Registries {}

impl<S: Inspect + Manage + Unpack + Commit + Transfer + Registries> Service for S {}
