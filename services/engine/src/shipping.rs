//! Log drivers that send a container's output elsewhere, and what they share. Each driver is a file of its own.
//!
//! The shim writes the same file for them as for `local`. It is Docker's cache, from which `docker logs` reads, and
//! also the spool from which one task for each container sends. So a container never waits for a receiver, and no
//! line is lost while the receiver or the engine is away: a new task continues where the last one ended. A task
//! records its position after sending, so that a crash may send lines twice but skips none. Only lines that the
//! rotation deletes before they are sent are lost, and a warning reports that.
//!
//! ```text
//! containers/<id>/<id>-json.log[.N]   the cache, written by the shim
//! containers/<id>/shipped             position up to which entries have been delivered: device, inode, offset
//! ```

mod attributes;
pub(crate) mod fluentd;
pub(crate) mod gelf;
pub(crate) mod journald;
mod options;
pub(crate) mod plugin;
mod receiver;
mod remote;
mod sender;
mod spool;
pub(crate) mod syslog;
mod tag;
mod task;
mod tls;

use std::sync::LazyLock;

pub use attributes::{Facts, extra};
pub use sender::{Persistence, Sender};
pub use task::Shippers;

use crate::logs::driver::Options;
use crate::record::Record;

/// The options of a container's log driver.
fn options_of(record: &Record) -> &Options {
    static NONE: LazyLock<Options> = LazyLock::new(Options::new);
    record.host.log_config.as_ref().map_or(&NONE, |log| &log.config)
}

/// One entry of the log, parsed.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The text without its newline.
    pub text: String,
    /// Whether it was written to standard error.
    pub error: bool,
    /// The time as the log has it, RFC 3339.
    pub time: String,
    /// Set for a piece of a line that was too long for one entry.
    pub piece: Option<Piece>,
}

/// The position of a piece in its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// An id that all pieces of a line share.
    pub id: String,
    /// Number of the piece, from one.
    pub ordinal: u32,
    /// Whether this is the last piece of the line.
    pub last: bool,
}

impl Entry {
    /// The time of the entry, nanoseconds since 1970.
    pub fn nanos(&self) -> i64 {
        let parsed = chrono::DateTime::parse_from_rfc3339(&self.time).ok();
        parsed.and_then(|time| time.timestamp_nanos_opt()).unwrap_or(0)
    }
}
