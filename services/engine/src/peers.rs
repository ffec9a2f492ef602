//! Clients of the other services. Each method is one call with a deadline; its error says what the engine was about
//! to do.

mod images;
mod network;
mod published;
mod records;
mod shims;
mod snapshots;
mod tasks;

use std::path::Path;

use gantry_api::Failure;
use tonic::Status;

pub use self::images::Images;
pub use self::network::Networks;
pub use self::published::{Events, Published, Shortage};
pub use self::records::Records;
pub use self::shims::Shims;
pub use self::snapshots::Snapshots;
pub use self::tasks::Tasks;
use crate::error::{Error, Result};

/// The clients of all other services. A component that needs one service takes that client only. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Peers {
    /// The images service.
    pub images: Images,
    /// The network service.
    pub networks: Networks,
    /// The events of the control service.
    pub published: Published,
    /// The container records of the tasks service.
    pub records: Records,
    /// The shims' sockets.
    pub shims: Shims,
    /// The snapshots service.
    pub snapshots: Snapshots,
    /// The tasks service.
    pub tasks: Tasks,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Exit code; 128 plus the signal's number for a process that a signal ended.
    pub code: i32,
    /// Time of the end, nanoseconds since 1970.
    pub at: i64,
}

/// The state of a process in the tasks service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Created but not started.
    Created,
    /// Runs with this process id.
    Running(u32),
    /// Is frozen, with this process id.
    Paused(u32),
    /// Has ended.
    Stopped(Exit),
    /// The tasks service does not know the process.
    Absent,
}

impl Task {
    /// The process id, while the process exists.
    pub fn pid(self) -> Option<u32> {
        match self {
            Task::Running(pid) | Task::Paused(pid) => Some(pid),
            Task::Created | Task::Stopped(_) | Task::Absent => None,
        }
    }
}

/// The log and the streams of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stdio {
    /// The log's URI: `json-file:///path?…` or `none:`.
    pub log: String,
    /// Whether clients can write to stdin.
    pub stdin: bool,
    /// Whether the process has a terminal.
    pub terminal: bool,
}

impl Peers {
    /// The services of one root directory, whose sockets are in `run`.
    pub fn new(peers: &gantry_api::Peers, run: &Path) -> Peers {
        Peers {
            images: Images::new(peers),
            networks: Networks::new(peers, run),
            published: Published::new(peers),
            records: Records::new(peers),
            shims: Shims::new(run),
            snapshots: Snapshots::new(peers),
            tasks: Tasks::new(peers),
        }
    }
}

/// The status of a failed call. The engine words the error for users itself.
fn said(failure: Failure) -> Status {
    *failure.status
}

/// Treats "not found" as success of a removal.
fn gone<T>(answer: Result<T, Status>) -> Result<(), Status> {
    match answer {
        Err(status) if status.code() != tonic::Code::NotFound => Err(status),
        _ => Ok(()),
    }
}

fn json(type_url: &str, document: &impl serde::Serialize) -> Result<prost_types::Any> {
    let value = serde_json::to_vec(document)
        .map_err(|source| Error::Invalid(format!("runtime specification: {source}")))?;
    Ok(prost_types::Any { type_url: type_url.to_owned(), value })
}
