//! Calls to the kernel about processes, memory, pipes and AppArmor, and their errors.
//!
//! [`Error`] is the error of all libraries that call the kernel: `gantry-rooted`, `gantry-mount`, `gantry-cgroup` and
//! this one. This crate knows no service, no protocol and no asynchronous runtime: every call blocks, and callers run
//! it on a blocking pool.
//!
//! | module | contains |
//! | --- | --- |
//! | [`process`] | the process's own time, umask and limits; other processes, held by descriptor |
//! | [`memory`] | the process's own heap, trimmed |
//! | [`pipe`] | how much a pipe holds, and whether it has a reader |
//! | [`apparmor`] | which profiles are loaded, and loading the one of containers |
//!
//! Only `memory` has `unsafe` code.

pub mod apparmor;
mod error;
pub mod memory;
pub mod pipe;
pub mod process;

pub use error::{Error, Result};
