//! `none`: keeps nothing, whatever the options say.

use super::{Driver, Options, Reading};
use crate::error::Result;
use crate::logs::kept::Log;
use crate::record::Record;

/// Its name.
pub const NAME: &str = "none";

/// The driver.
#[derive(Debug)]
pub struct Nothing;

#[tonic::async_trait]
impl Driver for Nothing {
    fn name(&self) -> &str {
        NAME
    }

    fn log(&self, _options: &Options) -> Result<Option<Log>> {
        Ok(None)
    }

    async fn reading(&self, _record: &Record) -> Reading {
        Reading::Nobody
    }
}
