//! The engine service: containers as Docker users know them.
//!
//! It knows names, configurations, states, restart policies, health, volumes and execs; it does not run anything itself.
//! Processes are tasks' business, root file systems snapshots', networks network's: the engine says what is wanted, in which
//! order, and remembers how far it has come, so that whatever is cut short is finished or undone when it is back.
//!
//! Called by gateway (gRPC on `run/engine.sock`, bytes on `run/engine-data.sock`); calls images, snapshots, tasks, network
//! and control, and plugins where volumes are theirs. Any of these may be away: a request then fails with `UNAVAILABLE`, and what runs goes on.
//!
//! | where | what |
//! | --- | --- |
//! | [`container`] | the life of a container, a file for each thing that can be done with it |
//! | [`spec`] | from a container's record to what `gantry_spec` makes a specification of |
//! | [`exec`] | further processes |
//! | [`volumes`] | volumes, and the plan of a container's mounts |
//! | [`logs`] | reading logs |
//! | [`archive`] | `docker cp` and `docker export` |
//! | [`recover`](mod@recover) | what happens at the start |
//! | [`paths`] | the layout of the directory on disk |

mod app;
pub mod archive;
pub mod container;
mod data;
pub mod engine;
mod error;
pub mod events;
pub mod exec;
pub mod filters;
mod fsck;
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
mod root;
mod server;
pub mod shipping;
pub mod spec;
pub mod store;
mod strays;
pub mod time;
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
