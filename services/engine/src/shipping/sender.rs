//! The interface of whatever sends a container's lines.

use std::time::Duration;

use super::Entry;

/// How often sending an entry is retried.
#[derive(Clone, Copy, Debug)]
pub struct Persistence {
    /// Attempts after which an entry is dropped; `None` for no limit.
    pub attempts: Option<u64>,
    /// Time between the first attempts.
    pub pause: Duration,
}

impl Default for Persistence {
    fn default() -> Self {
        Persistence { attempts: None, pause: Duration::from_secs(1) }
    }
}

/// Sends one container's lines elsewhere. Errors have Docker's words.
#[tonic::async_trait]
pub trait Sender: Send {
    /// Connects to the receiver before the container starts. An error fails the start.
    async fn connect(&mut self) -> Result<(), String>;

    /// Sends an entry. After an error the caller sends the same entry again.
    async fn send(&mut self, entry: &Entry) -> Result<(), String>;

    /// How many of the last entries the receiver may not have yet. The recorded position ends before them.
    fn pending(&mut self) -> usize {
        0
    }

    /// Tries to deliver pending entries. The caller repeats this while it has nothing else to send.
    async fn settle(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// Ends the log; nothing is sent afterwards. Another sender sends the entries that are still pending again.
    async fn end(&mut self) {}

    /// How often sending an entry is retried.
    fn persistence(&self) -> Persistence {
        Persistence::default()
    }
}
