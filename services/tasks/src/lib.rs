//! The tasks service: container records, and the shims that run them.
//!
//! It serves containerd's `Containers` and `Tasks`. It calls the task service of each shim, over gRPC for our shim
//! and over ttrpc for shims written by others. A shim runs without this service: the service may die at any moment,
//! and finds its shims again by their bundles.
//!
//! - A record is durable before it is acknowledged; a task goes with a reboot.
//! - The shim decides a process's state. This service keeps only what it needs to publish each event once, in
//!   containerd's order.
//! - The service holds no lock during a call to a shim, except the lock of a task that is being created or removed.
//!
//! ```text
//! state/tasks/db/                    RocksDB: container records
//! run/bundles/<namespace>/<id>/      one per task, see `bundle`
//! run/sandboxes/<namespace>/<id>/    one per running sandbox, see `sandboxes`
//! run/tasks.sock                     containers, tasks, sandboxes, gc collector, fsck
//! run/containerd.sock.ttrpc          events of shims written by others
//! ```
//!
//! The callers are `engine`, containerd's clients through the front socket, and `control` for garbage collection. The
//! service calls `control` (events, holds) and the shims.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "the work of a test ends with it"))]

pub mod app;
pub mod apparmor;
pub mod bundle;
pub mod collect;
pub mod containers;
pub mod error;
pub mod events;
pub mod journal;
pub mod monitor;
pub mod recover;
pub mod sandboxes;
pub mod server;
pub mod shim;
pub mod strays;
pub mod task;
pub mod tasks;

use gantry_daemon::{BoxError, Context, Descriptor};

/// `gantryd tasks`.
#[derive(Debug)]
pub struct Service;

impl gantry_daemon::Service for Service {
    const DESCRIPTOR: &'static Descriptor = &gantry_descriptor::TASKS;

    type Settings = gantry_daemon::settings::None;

    async fn run(context: Context) -> Result<(), BoxError> {
        app::run(context, shim::binary::SearchPath::of_this_process()).await
    }
}

/// The whole `main` of the process. It is not generic, so that the service is compiled with its crate, and not again with
/// every program that names it.
pub fn main(arguments: gantry_daemon::Arguments) -> std::process::ExitCode {
    gantry_daemon::main::<Service>(arguments)
}
