//! The machine: what its kernel refuses, the process itself and others, AppArmor.
//!
//! [`Error`] is what all libraries that speak to the kernel answer with: `gantry-rooted`, `gantry-mount`,
//! `gantry-cgroup` and this one. Nothing here knows a service, a protocol or an asynchronous runtime: all calls block,
//! and callers put them on a blocking pool.
//!
//! | module | asks the kernel for |
//! | --- | --- |
//! | [`process`] | the process's own time, umask and limits; other processes, held fast |
//! | [`memory`] | the process's own heap, trimmed |
//! | [`apparmor`] | profiles: which are loaded, and loading the one of containers |
//!
//! `unsafe` lives in `memory` alone.

pub mod apparmor;
mod error;
pub mod memory;
pub mod process;

pub use error::{Error, Result};
