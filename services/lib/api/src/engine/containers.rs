//! The interface to containers: created from images, run, stopped, inspected and removed.
//!
//! ```text
//!            create             start                process ends, stop
//!   (none) ─────────▶ created ─────────▶ running ─────────────────────▶ exited ──┐ start, or its policy
//!                        │                ▲ │ pause                        │     │
//!                        │                │ ▼                              │     ▼
//!                        │              paused                             │  running
//!                        └──────────────────────┬──────────────────────────┘
//!                                               ▼ remove, prune
//!                                            (none)
//! ```
//!
//! - A container is named by its id, its name, or the beginning of its id. If several ids begin so, the error is
//!   `INVALID_ARGUMENT`; if none does, `NOT_FOUND`.
//! - Creation is durable and makes everything that a start needs. A missing image is `NOT_FOUND`, which the error's
//!   details tell from other missing objects ([`lacks_image`]). A name that another container has is
//!   `ALREADY_EXISTS`.
//! - Starting a running container and stopping one that does not run succeed, and the answer says so. An operation
//!   that needs a process, or one that is not frozen, is otherwise `ABORTED`.
//! - A running container is removed only by force (otherwise `ABORTED`). A second removal in progress is `ABORTED`
//!   too.
//! - A change continues if its client disconnects, and is durable when it is answered.
//! - A list has a generation, which changes with every change of any container. A client that has the list of one
//!   generation may ask for a newer one.

pub mod client;
pub mod data;
pub mod server;

pub use client::{Client, lacks_image};
pub use data::client::Log;
pub use server::lacking_image;

use gantry_rpc::Coded;

use super::{
    AttachPoint, AttachSpec, Change, CommitSpec, Condition, Container, CreateSpec, Created, EndpointSettings,
    Exit, Filter, ListQuery, Listing, Opened, Pruned, RemoveSpec, Stats, StopSpec, Top, Update, Window,
};
use crate::Promise;

/// Most bytes of a list: ten thousand containers fit.
const LIST_LIMIT: usize = 64 << 20;

/// Whether the requested state existed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// It did not.
    Otherwise,
    /// It did, so nothing was done.
    Already,
}

/// Whether the sizes of containers' roots are measured, which takes a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// Sizes are measured.
    Measured,
    /// Sizes are left out.
    Untold,
}

/// Whether a container that does not exist may be disconnected from a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// Yes: the error is about its endpoint.
    Yes,
    /// No: the error is about the container.
    No,
}

/// Reads containers.
pub trait Inspect: Promise {
    /// Returns everything about one container.
    fn container(
        &self,
        name: &str,
        sizes: Sizes,
    ) -> impl Future<Output = Result<Container, Self::Error>> + Send;

    /// Returns the containers that match a query, newest first.
    fn containers(&self, query: ListQuery) -> impl Future<Output = Result<Listing, Self::Error>> + Send;

    /// Returns a container's processes, as ps(1) shows them with these arguments.
    fn top(&self, name: &str, ps_args: &str) -> impl Future<Output = Result<Top, Self::Error>> + Send;

    /// Returns the differences between a container's root and its image, by path.
    fn changes(&self, name: &str) -> impl Future<Output = Result<Vec<Change>, Self::Error>> + Send;
}

/// Creates, changes and removes containers.
pub trait Manage: Promise {
    /// Creates a container.
    fn create_container(&self, spec: CreateSpec)
    -> impl Future<Output = Result<Created, Self::Error>> + Send;

    /// Renames a container.
    fn rename_container(&self, name: &str, to: &str) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Changes a container's limits, which take effect at once, and its restart policy. Returns warnings.
    fn update_container(
        &self,
        name: &str,
        update: Update,
    ) -> impl Future<Output = Result<Vec<String>, Self::Error>> + Send;

    /// Removes a container.
    fn remove_container(&self, spec: RemoveSpec) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Removes containers that do not run and that match all filters.
    fn prune_containers(
        &self,
        filters: &[Filter],
    ) -> impl Future<Output = Result<Pruned, Self::Error>> + Send;

    /// Makes an image from a container and returns the image's id.
    fn commit_container(&self, spec: CommitSpec) -> impl Future<Output = Result<String, Self::Error>> + Send;
}

/// Starts and stops containers.
pub trait Run: Promise {
    /// Starts a container; its process runs when this returns.
    fn start_container(&self, name: &str) -> impl Future<Output = Result<Before, Self::Error>> + Send;

    /// Stops a container: sends the stop signal, waits, and kills it. The end is durable when this returns.
    fn stop_container(&self, spec: StopSpec) -> impl Future<Output = Result<Before, Self::Error>> + Send;

    /// Stops a container and starts it, in one operation.
    fn restart_container(&self, spec: StopSpec) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Sends a signal, by name or number, to a container's process; empty for KILL.
    fn kill_container(
        &self,
        name: &str,
        signal: &str,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Freezes all processes of a container.
    fn pause_container(&self, name: &str) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Thaws them.
    fn unpause_container(&self, name: &str) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Sets the size of a container's terminal.
    fn resize_container(
        &self,
        name: &str,
        size: Window,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Waits for events in containers' lives.
pub trait Wait: Promise {
    /// A wait in progress; dropping it ends the wait.
    type Waiting: Waiting<Error = Self::Error> + 'static;

    /// Begins a wait. Nothing that happens after this returns is missed.
    fn wait_for(
        &self,
        name: &str,
        condition: Condition,
    ) -> impl Future<Output = Result<Self::Waiting, Self::Error>> + Send;
}

/// A wait in progress.
pub trait Waiting: Send {
    /// The error of the wait.
    type Error: Coded + Send + Sync + 'static;

    /// Returns how the container ended; `None` if the engine ends first.
    fn exit(self) -> impl Future<Output = Result<Option<Exit>, Self::Error>> + Send;
}

/// Which samples of a container's usage are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// A sample per second, until the client stops or the container is removed.
    Stream,
    /// One sample with two moments.
    Once,
    /// One sample of the present moment.
    AtOnce,
}

/// Samples the resource usage of containers.
pub trait Watch: Promise {
    /// A series of samples; dropping it ends the sampling.
    type Samples: Samples<Error = Self::Error> + 'static;

    /// Begins to sample.
    fn stats(
        &self,
        name: &str,
        sampling: Sampling,
    ) -> impl Future<Output = Result<Self::Samples, Self::Error>> + Send;
}

/// A series of samples.
pub trait Samples: Send {
    /// The error of a sample.
    type Error: Coded + Send + Sync + 'static;

    /// The next sample; `None` at the end.
    fn next(&mut self) -> impl Future<Output = Result<Option<Stats>, Self::Error>> + Send;
}

/// Attaches to containers' processes.
pub trait Attach: Promise {
    /// An attachment, or a wait for one; dropping it ends both.
    type Attachment: Attachment<Error = Self::Error> + 'static;

    /// Begins an attachment. A later start waits until the client has reported that it is connected.
    fn attach(
        &self,
        spec: AttachSpec,
    ) -> impl Future<Output = Result<(Opened, Self::Attachment), Self::Error>> + Send;
}

/// An attachment, or a wait for one.
pub trait Attachment: Send {
    /// The error of the attachment.
    type Error: Coded + Send + Sync + 'static;

    /// Waits until the client can connect, and returns where; `None` if the container will not run.
    fn point(&mut self) -> impl Future<Output = Result<Option<AttachPoint>, Self::Error>> + Send;

    /// Reports that the client is connected. If the engine is gone, this succeeds, because no start waits.
    fn connected(&mut self) -> impl Future<Output = ()> + Send;
}

/// Connects containers to networks.
pub trait Connect: Promise {
    /// Connects a container to a network: at once if it runs, and at each later start.
    fn connect_container(
        &self,
        name: &str,
        network: &str,
        settings: EndpointSettings,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Disconnects a container from a network.
    fn disconnect_container(
        &self,
        name: &str,
        network: &str,
        force: Force,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// The complete interface that goes by gRPC.
pub trait Service: Inspect + Manage + Run + Wait + Watch + Attach + Connect {}

impl<S: Inspect + Manage + Run + Wait + Watch + Attach + Connect> Service for S {}
