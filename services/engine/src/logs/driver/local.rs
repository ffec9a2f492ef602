//! `local`: Docker's format for it is private, so Gantry writes the file of `json-file` with the rotation of Docker's
//! `local`.

use super::{Driver, Options, known};
use crate::error::Result;
use crate::logs::kept::{CACHE, Log, ROTATION};

/// The driver.
#[derive(Debug)]
pub struct Local;

#[tonic::async_trait]
impl Driver for Local {
    fn name(&self) -> &str {
        "local"
    }

    fn log(&self, options: &Options) -> Result<Option<Log>> {
        known(options, &[&ROTATION], |key| format!("unknown log opt '{key}' for log driver local"))?;
        Log::rotated(options, CACHE).map(Some)
    }
}
