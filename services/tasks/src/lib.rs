//! The tasks service: container records, and the shims that run them.
//!
//! It speaks containerd's `Containers` and `Tasks` to clients and the shim's task
//! service to shims, gRPC to ours and ttrpc to those of others. A shim needs no
//! service to live: this one may die at any moment, and finds its shims again
//! through their bundles.
//!
//! - A record is durable before it is acknowledged; a task goes with a reboot.
//! - The shim is the truth about a process's state. What is kept here is what
//!   publishing needs: each event once, in containerd's order.
//! - No lock is held over a call to a shim but the one of the task being made or removed.
//!
//! ```text
//! state/tasks/db/                    RocksDB: container records
//! run/bundles/<namespace>/<id>/      one per task, see `bundle`
//! run/sandboxes/<namespace>/<id>/    one per sandbox that runs, see `sandboxes`
//! run/tasks.sock                     containers, tasks, sandboxes, gc collector, fsck
//! run/containerd.sock.ttrpc          events of shims written by others
//! ```
//!
//! Called by `engine`, by containerd's clients through the front socket, and by
//! `control` for garbage collection. Calls `control` (events, holds) and shims.

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
