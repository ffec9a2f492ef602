//! A library for plugins of Docker and Gantry: a driver implements a trait, and [`Server`] serves it.
//!
//! ```no_run
//! use std::collections::BTreeMap;
//! use std::path::PathBuf;
//!
//! use gantry_plugin_sdk::{At, Error, Result, Server, volume};
//!
//! /// Volumes that are folders below `/srv/volumes`.
//! struct Simple;
//!
//! fn folder(name: &str) -> PathBuf {
//!     PathBuf::from("/srv/volumes").join(name)
//! }
//!
//! impl volume::Driver for Simple {
//!     async fn create(&self, name: &str, _options: &BTreeMap<String, String>) -> Result<()> {
//!         std::fs::create_dir_all(folder(name)).map_err(Error::new)
//!     }
//!
//!     async fn remove(&self, name: &str) -> Result<()> {
//!         std::fs::remove_dir_all(folder(name)).map_err(Error::new)
//!     }
//!
//!     async fn mount(&self, name: &str, _user: &str) -> Result<PathBuf> {
//!         Ok(folder(name))
//!     }
//!
//!     async fn unmount(&self, _name: &str, _user: &str) -> Result<()> {
//!         Ok(())
//!     }
//!
//!     async fn get(&self, name: &str) -> Result<volume::Volume> {
//!         match folder(name).is_dir() {
//!             true => Ok(volume::Volume::at(name, &folder(name))),
//!             false => Err(Error::new(format!("no volume {name}"))),
//!         }
//!     }
//!
//!     async fn list(&self) -> Result<Vec<volume::Volume>> {
//!         Ok(Vec::new())
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     Server::new().volumes(Simple).serve(&At::docker("simple")).await
//! }
//! ```
//!
//! Then run `docker volume create -d simple data`. [`Server::method`] and [`Server::stream`] serve other interfaces,
//! with the documents of `gantry_plugin::wire`, which this crate re-exports as [`wire`].
//!
//! # Invariants
//!
//! - Calls are answered concurrently. A method is dropped if its client disconnects, and must then leave nothing half
//!   done: work that has to be finished runs in a task, or in [`blocking`].
//! - Only root can connect to the socket. The socket of a plugin that still runs is not taken over.
//! - SIGTERM and SIGINT end the server: calls in progress have ten seconds.

#![allow(clippy::disallowed_methods, reason = "the work of a plugin ends with it")]

mod at;
mod error;
pub mod log;
mod server;
pub mod testing;
pub mod volume;

pub use at::At;
pub use error::{Error, Result};
pub use gantry_plugin::{interface, wire};
pub use server::{Body, Server};

/// Runs work that blocks (files, system calls) on a thread of its own. The work is finished even if the call is
/// dropped.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::new("the driver has failed: see its log"))?
}
