//! Log drivers: what becomes of a container's output. The rest of the service asks a container's driver, and never tests
//! for its name.
//!
//! ```text
//! create   log: options are refused, or say what the shim is to keep
//! start    sender → connect: who cannot do without its receiver fails the start
//! runs     send, for each entry that the shim has written
//! logs     reading: the file, or nobody's
//! ```
//!
//! What a driver keeps is written by the shim, for all of them the same file ([`Log`]); what it sends elsewhere is read
//! from there ([`crate::shipping`]). Which drivers there are is said in `app.rs` alone.

pub mod json_file;
pub mod local;
pub mod none;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::Arc;

use gantry_api::engine::LogConfig;

use super::kept::Log;
use crate::error::{Error, Result};
use crate::record::Record;
use crate::shipping::Sender;

/// A driver's options, as its user wrote them.
pub type Options = HashMap<String, String>;

/// Options that every driver takes.
pub(crate) const COMMON: [&str; 6] =
    ["mode", "max-buffer-size", "cache-disabled", "cache-max-size", "cache-max-file", "cache-compress"];
/// Options that put something beside each line.
pub(crate) const ATTRIBUTES: [&str; 5] = ["labels", "labels-regex", "env", "env-regex", "tag"];

/// Docker's drivers that there are not.
const NOT_BUILT: [&str; 3] = ["awslogs", "gcplogs", "splunk"];

/// Who can tell what a container has said.
#[derive(Debug)]
pub enum Reading {
    /// The file that the shim writes.
    Kept,
    /// Nobody here.
    Nobody,
}

/// A log driver.
pub trait Driver: Debug + Send + Sync {
    /// Its name in records and requests.
    fn name(&self) -> &str;

    /// Checks a container's options; what the shim is to keep, if anything.
    ///
    /// # Errors
    /// Options that it does not take, in the words that Docker's clients know.
    fn log(&self, options: &Options) -> Result<Option<Log>>;

    /// Whether the file is its user's to read: it is shown by `inspect`, and has beside each line what the options name.
    fn is_shown(&self) -> bool {
        false
    }

    /// Who answers `docker logs`.
    fn reading(&self, _options: &Options) -> Reading {
        Reading::Kept
    }

    /// Who sends a container's lines elsewhere; none, where they stay.
    ///
    /// # Errors
    /// Options that are found to be wrong only now.
    fn sender(&self, _record: &Record, _hostname: &str) -> Result<Option<Box<dyn Sender>>> {
        Ok(None)
    }
}

/// All drivers, by name.
#[derive(Debug)]
pub struct Drivers(BTreeMap<String, Arc<dyn Driver>>);

impl Drivers {
    /// These. Their names are distinct.
    pub fn new(drivers: impl IntoIterator<Item = Arc<dyn Driver>>) -> Drivers {
        Drivers(drivers.into_iter().map(|driver| (driver.name().to_owned(), driver)).collect())
    }

    /// The driver with this name; `json-file` for none.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn find(&self, name: &str) -> Result<Arc<dyn Driver>> {
        let name = if name.is_empty() { json_file::NAME } else { name };
        match self.0.get(name) {
            Some(driver) => Ok(Arc::clone(driver)),
            None if NOT_BUILT.contains(&name) => Err(Error::NotBuilt(format!(
                "log driver {name} is not supported: use json-file, local, syslog, journald, fluentd, gelf or none"
            ))),
            None => {
                let why = format!("error looking up logging plugin {name}: plugin {name:?} not found");
                Err(Error::Invalid(why))
            }
        }
    }

    /// A container's driver.
    pub(crate) fn of(&self, record: &Record) -> Result<Arc<dyn Driver>> {
        self.find(record.host.log_config.as_ref().map_or("", |log| &log.r#type))
    }

    /// What a configuration asks to be kept.
    pub(crate) fn log(&self, config: Option<&LogConfig>) -> Result<Option<Log>> {
        let none = Options::new();
        let (name, options) = config.map_or(("", &none), |log| (log.r#type.as_str(), &log.config));
        self.find(name)?.log(options)
    }
}

/// Refuses options that are none of these.
pub(crate) fn known(options: &Options, own: &[&[&str]], refused: impl FnOnce(&str) -> String) -> Result<()> {
    let is_known = |key: &str| COMMON.contains(&key) || own.iter().any(|some| some.contains(&key));
    match options.keys().find(|key| !is_known(key)) {
        Some(key) => Err(Error::Invalid(refused(key))),
        None => Ok(()),
    }
}
