//! Who sends a container's lines.

use std::time::Duration;

use super::Entry;

/// How often an entry is tried.
#[derive(Clone, Copy, Debug)]
pub struct Persistence {
    /// After so many failures it is given up; none: never.
    pub attempts: Option<u64>,
    /// Between the first ones.
    pub pause: Duration,
}

impl Default for Persistence {
    fn default() -> Self {
        Persistence { attempts: None, pause: Duration::from_secs(1) }
    }
}

/// What sends one container's lines elsewhere. What it says of failures is what Docker says.
#[tonic::async_trait]
pub trait Sender: Send {
    /// Finds the receiver before the container starts; where that fails, so does the start.
    async fn connect(&mut self) -> Result<(), String>;

    /// Sends an entry. One that failed is sent again.
    async fn send(&mut self, entry: &Entry) -> Result<(), String>;

    /// How often an entry is tried.
    fn persistence(&self) -> Persistence {
        Persistence::default()
    }
}
