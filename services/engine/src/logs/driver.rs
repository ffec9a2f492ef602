//! Log drivers: what happens to a container's output. The rest of the service calls a container's driver and never
//! tests for its name.
//!
//! ```text
//! create   find: checks that the driver exists; log: refuses options, or says what the shim is to keep
//! start    sender → connect: a driver that needs its receiver fails the start
//! runs     send: called for each entry that the shim has written
//! logs     reading: the file, the driver itself, or none
//! ```
//!
//! The shim writes what a driver keeps, in the same file format for all drivers ([`Log`]). A driver that sends output
//! elsewhere reads it from that file ([`crate::shipping`]). Only `app.rs` lists the drivers; any other name is a
//! plugin's.

pub mod json_file;
pub mod local;
pub mod none;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::Arc;

use gantry_api::engine::LogConfig;
use gantry_plugin::Plugins;

use super::kept::Log;
use crate::error::{Error, Result};
use crate::record::Record;
use crate::shipping::Sender;
use crate::shipping::plugin::reading::Theirs;
use crate::shipping::plugin::{Fifos, Plugged};

/// A driver's options, as its user wrote them.
pub type Options = HashMap<String, String>;

/// Options that every driver accepts.
pub(crate) const COMMON: [&str; 6] =
    ["mode", "max-buffer-size", "cache-disabled", "cache-max-size", "cache-max-file", "cache-compress"];
/// Options that add attributes to each line.
pub(crate) const ATTRIBUTES: [&str; 5] = ["labels", "labels-regex", "env", "env-regex", "tag"];

/// Docker's drivers that Gantry does not have.
const NOT_BUILT: [&str; 3] = ["awslogs", "gcplogs", "splunk"];

/// The source of a container's log.
#[derive(Debug)]
pub enum Reading {
    /// The file that the shim writes.
    Kept,
    /// The driver.
    Theirs(Box<Theirs>),
    /// No source: the log cannot be read here.
    Nobody,
}

/// A log driver.
#[tonic::async_trait]
pub trait Driver: Debug + Send + Sync {
    /// The driver's name in records and requests.
    fn name(&self) -> &str;

    /// Checks a container's options. Returns the log that the shim is to keep, or `None`.
    ///
    /// # Errors
    /// An option that the driver does not take, in the words that Docker's clients know.
    fn log(&self, options: &Options) -> Result<Option<Log>>;

    /// Whether users may read the file: `inspect` then shows its path, and each line has the attributes that the
    /// options name.
    fn is_shown(&self) -> bool {
        false
    }

    /// Checks that the driver exists, for a driver that is not built in.
    ///
    /// # Errors
    /// There is no plugin with this name.
    async fn find(&self) -> Result<()> {
        Ok(())
    }

    /// The source of the log for `docker logs`.
    async fn reading(&self, _record: &Record) -> Reading {
        Reading::Kept
    }

    /// The sender of a container's lines; `None` for a driver that sends nothing.
    ///
    /// # Errors
    /// Options whose errors are found only at the start.
    fn sender(&self, _record: &Record, _hostname: &str) -> Result<Option<Box<dyn Sender>>> {
        Ok(None)
    }
}

/// All drivers, by name.
#[derive(Debug)]
pub struct Drivers {
    own: BTreeMap<String, Arc<dyn Driver>>,
    plugins: Plugins,
    fifos: Fifos,
}

impl Drivers {
    /// The given drivers, and plugins, which get their entries through FIFOs. The names must be distinct.
    pub fn new(
        drivers: impl IntoIterator<Item = Arc<dyn Driver>>,
        plugins: Plugins,
        fifos: Fifos,
    ) -> Drivers {
        let own = drivers.into_iter().map(|driver| (driver.name().to_owned(), driver)).collect();
        Drivers { own, plugins, fifos }
    }

    /// The driver with this name, `json-file` for an empty name. For a plugin's name, the plugin has not been looked
    /// up yet.
    ///
    /// # Errors
    /// Docker has a driver of this name, and Gantry does not.
    pub fn named(&self, name: &str) -> Result<Arc<dyn Driver>> {
        let name = if name.is_empty() { json_file::NAME } else { name };
        match self.own.get(name) {
            Some(driver) => Ok(Arc::clone(driver)),
            None if NOT_BUILT.contains(&name) => Err(Error::NotBuilt(format!(
                "log driver {name} is not supported: use json-file, local, syslog, journald, fluentd, gelf or none"
            ))),
            None => Ok(Arc::new(Plugged::new(name, self.plugins.clone(), self.fifos.clone()))),
        }
    }

    /// The engine's own but `none`, in order, as dockerd lists its own.
    pub(crate) fn names(&self) -> Vec<String> {
        self.own.keys().filter(|name| *name != none::NAME).cloned().collect()
    }

    /// A container's driver.
    pub(crate) fn of(&self, record: &Record) -> Result<Arc<dyn Driver>> {
        self.named(record.host.log_config.as_ref().map_or("", |log| &log.r#type))
    }

    /// The log that a configuration asks the shim to keep.
    pub(crate) fn log(&self, config: Option<&LogConfig>) -> Result<Option<Log>> {
        let none = Options::new();
        let (name, options) = config.map_or(("", &none), |log| (log.r#type.as_str(), &log.config));
        self.named(name)?.log(options)
    }

    /// Checks that the driver that a configuration names exists.
    pub(crate) async fn find(&self, config: Option<&LogConfig>) -> Result<()> {
        self.named(config.map_or("", |log| log.r#type.as_str()))?.find().await
    }
}

/// Refuses options that are in none of the lists.
pub(crate) fn known(options: &Options, own: &[&[&str]], refused: impl FnOnce(&str) -> String) -> Result<()> {
    let is_known = |key: &str| COMMON.contains(&key) || own.iter().any(|some| some.contains(&key));
    match options.keys().find(|key| !is_known(key)) {
        Some(key) => Err(Error::Invalid(refused(key))),
        None => Ok(()),
    }
}
