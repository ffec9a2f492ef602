//! The interface to execs: further processes in running containers.
//!
//! ```text
//!            create              start                   ends
//!   (none) ─────────▶ created ─────────────▶ running ─────────▶ ended ──▶ (none), a while after
//! ```
//!
//! - An exec is created in a running container (`ABORTED` otherwise) and started once. It is durable, unless the disk
//!   is full: then it is lost when the engine restarts.
//! - A client that starts an exec and attaches to it is told where to connect before the process runs. The process
//!   runs once the client has reported that it is connected, has disconnected, or has not connected in time. If the
//!   process cannot be started, the start fails, and the exec's exit code is 127 if the program is missing, 126 if it
//!   may not be run.
//! - An exec that does not exist is `NOT_FOUND`.

pub mod client;
pub mod server;

pub use client::Client;

use gantry_rpc::Coded;

use super::{AttachPoint, Exec, ExecSpec, Window};
use crate::Promise;

/// How to start an exec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartSpec {
    /// The exec's id.
    pub id: String,
    /// Whether no client attaches to the exec.
    pub detach: bool,
    /// Whether the client that starts the exec has a terminal.
    pub tty: bool,
    /// The size of that terminal.
    pub size: Window,
}

/// Reads execs.
pub trait Inspect: Promise {
    /// Returns one exec.
    fn exec(&self, id: &str) -> impl Future<Output = Result<Exec, Self::Error>> + Send;
}

/// Creates execs.
pub trait Manage: Promise {
    /// Creates an exec and returns its id.
    fn create_exec(&self, spec: ExecSpec) -> impl Future<Output = Result<String, Self::Error>> + Send;

    /// Sets the size of an exec's terminal.
    fn resize_exec(&self, id: &str, size: Window) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Starts execs.
pub trait Start: Promise {
    /// A start in progress. Dropping it detaches the client; the process runs all the same.
    type Starting: Starting<Error = Self::Error> + 'static;

    /// Begins to start an exec.
    fn start_exec(&self, spec: StartSpec)
    -> impl Future<Output = Result<Self::Starting, Self::Error>> + Send;
}

/// A start in progress.
pub trait Starting: Send {
    /// The error of the start.
    type Error: Coded + Send + Sync + 'static;

    /// Where the client connects; `None` for a detached exec.
    fn point(&mut self) -> impl Future<Output = Result<Option<AttachPoint>, Self::Error>> + Send;

    /// Reports that the client is connected.
    fn connected(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Waits until the process runs, and returns its process id on the host. May be cancelled and called again.
    fn started(&mut self) -> impl Future<Output = Result<u32, Self::Error>> + Send;

    /// Waits until the process has ended and its exit code is available. Not for a detached exec.
    fn ended(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// The complete interface.
pub trait Service: Inspect + Manage + Start {}

impl<S: Inspect + Manage + Start> Service for S {}
