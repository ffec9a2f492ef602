//! Log drivers that send a container's output elsewhere, each in a file of its own, and what they share.
//!
//! The shim writes the same file for them as for `local`: Docker's cache, from which `docker logs` reads, and here also
//! the spool from which one task for each container sends. So a container never waits for a receiver, and nothing is lost
//! while the receiver or the engine is away: a task goes on where the last one was. What a task has sent is noted after it
//! was sent: lines may come twice after a crash, never not at all. Only what the rotation of the cache has taken away
//! before it was sent is lost, and told of.
//!
//! ```text
//! containers/<id>/<id>-json.log[.N]   the cache, written by the shim
//! containers/<id>/shipped             how far it was sent: device, inode, offset
//! ```

mod attributes;
pub(crate) mod fluentd;
pub(crate) mod gelf;
pub(crate) mod journald;
mod options;
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

/// The options of a container's driver.
fn options_of(record: &Record) -> &Options {
    static NONE: LazyLock<Options> = LazyLock::new(Options::new);
    record.host.log_config.as_ref().map_or(&NONE, |log| &log.config)
}

/// What one entry of the log says, taken apart.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Without its newline.
    pub text: String,
    /// To standard error.
    pub error: bool,
    /// RFC 3339, as it is in the log.
    pub time: String,
    /// A piece of a line that was too long for one entry.
    pub piece: Option<Piece>,
}

/// Which piece of a line an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The same for all pieces of a line.
    pub id: String,
    /// From one.
    pub ordinal: u32,
    /// With the line's end.
    pub last: bool,
}

impl Entry {
    /// Nanoseconds since 1970.
    pub fn nanos(&self) -> i64 {
        let parsed = chrono::DateTime::parse_from_rfc3339(&self.time).ok();
        parsed.and_then(|time| time.timestamp_nanos_opt()).unwrap_or(0)
    }
}
