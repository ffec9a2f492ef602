//! What makes the snapshots of a snapshotter: a driver, in directories of ours, or a remote snapshotter.

use std::sync::Arc;

use crate::driver::{Driver, Keeper};
use crate::remote::Remote;

/// What is behind a snapshotter's name.
#[derive(Debug, Clone)]
pub enum Backend {
    /// A driver.
    Driver(Arc<dyn Driver>),
    /// A remote snapshotter.
    Remote(Arc<Remote>),
}

impl Backend {
    /// The snapshotter's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Driver(driver) => driver.name(),
            Self::Remote(remote) => remote.name(),
        }
    }

    /// Who decides which snapshots may be removed.
    pub fn keeper(&self) -> Keeper {
        match self {
            Self::Driver(driver) => driver.keeper(),
            Self::Remote(_) => Keeper::Us,
        }
    }

    /// Whether a snapshot that was made without a parent can be put on top of one.
    pub fn rebases(&self) -> bool {
        match self {
            Self::Driver(driver) => driver.capabilities().rebase(),
            Self::Remote(remote) => remote.capabilities().iter().any(|word| word == "rebase"),
        }
    }
}
