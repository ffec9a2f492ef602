//! `none`: nothing is kept, whatever the options say.

use super::{Driver, Options, Reading};
use crate::error::Result;
use crate::logs::kept::Log;

/// The driver.
#[derive(Debug)]
pub struct Nothing;

impl Driver for Nothing {
    fn name(&self) -> &str {
        "none"
    }

    fn log(&self, _options: &Options) -> Result<Option<Log>> {
        Ok(None)
    }

    fn reading(&self, _options: &Options) -> Reading {
        Reading::Nobody
    }
}
