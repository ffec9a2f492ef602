//! The engine service: containers as users of Docker know them.
//!
//! It keeps names, configurations, states, restart policies, health, volumes and execs, and runs nothing itself. The
//! tasks service runs processes, snapshots keeps root file systems, and network makes networks. The engine calls them
//! in the right order and records its progress, so that an interrupted operation is finished or undone at the next
//! start.
//!
//! The gateway calls the engine (gRPC on `run/engine.sock`, bytes on `run/engine-data.sock`). The engine calls
//! images, snapshots, tasks, network and control, and plugins for volumes and logs. Any of these may be away: a
//! request that needs it then fails with `UNAVAILABLE`, and containers continue to run.
//!
//! | module | contains |
//! | --- | --- |
//! | `verbs` | the calls of clients, and the parts of the engine that each one uses |
//! | [`containers`] | lookup and persistence of containers |
//! | [`container`] | the life of a container; each operation has a file |
//! | [`spec`] | the conversion of a record into the input of `gantry_spec` |
//! | [`exec`] | execs: further processes |
//! | [`volumes`] | volumes, and the plan of a container's mounts |
//! | [`logs`] | containers' logs: reading them, and sending them elsewhere |
//! | [`events`] | events and their subscribers |
//! | [`peers`] | clients of the other services |
//! | [`archive`] | `docker cp` and `docker export` |
//! | [`recover`](mod@recover) | the start of the service |
//! | `strays` | parts of containers without a record: at the start, and for fsck |
//! | [`paths`] | the layout of the directory on disk |

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "the work of a test ends with it"))]

mod app;
pub mod archive;
mod blocking;
pub mod container;
pub mod containers;
mod data;
pub mod engine;
mod error;
pub mod events;
pub mod exec;
pub mod filters;
pub mod generation;
pub mod health;
pub mod image;
pub mod index;
mod info;
pub mod logs;
pub mod names;
pub mod paths;
pub mod peers;
pub mod record;
mod recover;
pub mod restart;
mod retry;
mod root;
mod server;
pub mod shipping;
pub mod spec;
#[cfg(test)]
mod stage;
pub mod store;
mod strays;
pub mod time;
mod verbs;
pub mod volumes;

use gantry_daemon::{BoxError, Context, Descriptor};

pub use error::{Error, Result};

/// The service, for gantryd.
pub struct Service;

impl gantry_daemon::Service for Service {
    const DESCRIPTOR: &'static Descriptor = &gantry_descriptor::ENGINE;

    type Settings = app::Settings;

    async fn run(context: Context) -> Result<(), BoxError> {
        app::run(context).await
    }
}

/// The whole `main` of the process. It is not generic, so that the service is compiled with its crate, and not again with
/// every program that names it.
pub fn main(arguments: gantry_daemon::Arguments) -> std::process::ExitCode {
    gantry_daemon::main::<Service>(arguments)
}
