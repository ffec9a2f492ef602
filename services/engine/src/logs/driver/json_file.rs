//! `json-file`: Docker's format, which users read too.

use super::{ATTRIBUTES, Driver, Options, known};
use crate::error::Result;
use crate::logs::kept::{Defaults, Log, ROTATION};

pub(super) const NAME: &str = "json-file";

/// The driver.
#[derive(Debug)]
pub struct JsonFile;

#[tonic::async_trait]
impl Driver for JsonFile {
    fn name(&self) -> &str {
        NAME
    }

    fn log(&self, options: &Options) -> Result<Option<Log>> {
        known(options, &[&ROTATION, &ATTRIBUTES], |key| {
            format!("unknown log opt '{key}' for json-file log driver")
        })?;
        Log::rotated(options, Defaults { max_size: None, max_files: 1 }).map(Some)
    }

    fn is_shown(&self) -> bool {
        true
    }
}
