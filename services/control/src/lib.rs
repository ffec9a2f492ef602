//! The control service: what belongs to no single store.
//!
//! - containerd namespaces, leases, events, introspection and version;
//! - garbage collection across the stores, see [`gc`];
//! - the front socket, where every containerd service answers at one address,
//!   see [`front`].
//!
//! ```text
//! state/control/db/          RocksDB: namespaces, leases, what leases keep
//! state/control/uuid         this Gantry's id
//! run/control.sock           its own services
//! run/containerd.sock        the front socket
//! ```
//!
//! Called by every service (events, holds) and by containerd's clients. Calls the
//! stores to collect, and forwards to them. Events are not kept: they tell, they
//! do not decide.

pub mod app;
pub mod error;
pub mod events;
pub mod front;
pub mod gc;
pub mod introspection;
pub mod leases;
pub mod namespaces;
pub mod server;

use gantry_daemon::{BoxError, Context, Descriptor};

/// `gantryd control`.
#[derive(Debug)]
pub struct Service;

impl gantry_daemon::Service for Service {
    const DESCRIPTOR: &'static Descriptor = &gantry_descriptor::CONTROL;

    type Settings = gantry_daemon::settings::None;

    async fn run(context: Context) -> Result<(), BoxError> {
        app::run(context).await
    }
}

/// The whole `main` of the process. It is not generic, so that the service is compiled with its crate, and not again with
/// every program that names it.
pub fn main(arguments: gantry_daemon::Arguments) -> std::process::ExitCode {
    gantry_daemon::main::<Service>(arguments)
}
