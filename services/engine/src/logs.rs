//! Logs: read from the json-file that the shim writes, or from a plugin, and sent to the client on the data socket.
//!
//! | module | contains |
//! | --- | --- |
//! | [`driver`] | the drivers, of which each container has one |
//! | [`kept`] | the file that the shim writes |
//! | [`line`] | one line of the file |
//! | [`frame`] | Docker's multiplexed stream |
//! | [`generations`] | rotated files |
//! | [`tail`] | the place where the last N lines begin |
//! | [`reader`] | a position in the log that moves forwards |
//! | [`follow`] | sending a log, also while the container still runs |
//! | [`relay`] | sending a log that a driver reads |

pub mod driver;
pub mod follow;
pub mod frame;
pub mod generations;
pub mod kept;
pub mod line;
pub mod reader;
pub mod relay;
pub mod tail;

use std::sync::Arc;

use gantry_daemon::Context;

use self::driver::Drivers;
use crate::error::{Error, Result};
use crate::paths::Paths;
use crate::record::Record;
use crate::shipping::Shippers;

/// Containers' logs: their drivers, their files, and the tasks that send them elsewhere. Cheap to clone.
#[derive(Clone)]
pub struct Logs {
    pub(crate) drivers: Arc<Drivers>,
    pub(crate) paths: Paths,
    pub(crate) shippers: Shippers,
    /// The host name that is sent with each line.
    pub(crate) hostname: String,
    pub(crate) context: Context,
}

impl Logs {
    /// Logs at these paths. The tasks that send them elsewhere run as long as the service of `context`.
    pub fn new(drivers: Drivers, paths: &Paths, hostname: &str, context: &Context) -> Logs {
        Logs {
            drivers: Arc::new(drivers),
            paths: paths.clone(),
            shippers: Shippers::default(),
            hostname: hostname.to_owned(),
            context: context.clone(),
        }
    }

    /// The URI that tells the shim what to write of a container's output.
    pub(crate) fn uri(&self, record: &Record) -> Result<String> {
        kept::uri(&self.drivers, record, &self.paths.log(&record.id))
    }
}
