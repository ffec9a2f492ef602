//! A log driver that is a plugin: Docker's protocol `LogDriver`.
//!
//! The shim writes the same file as for every driver that sends, and one task sends from it ([`crate::shipping`]),
//! here through a FIFO ([`delivery`]). So a plugin that does not read blocks no container, in either `mode`. If the
//! plugin cannot read its log back (`ReadLogs`, [`reading`]), the log is read from the shim's file.
//!
//! ```text
//! run/logging/<id>     a FIFO for each run of a container; a new engine deletes those of the last one
//! ```

mod delivery;
mod fifo;
pub mod reading;
#[cfg(test)]
mod tests;

use std::time::Duration;

use gantry_plugin::wire::Nothing;
use gantry_plugin::wire::log::{CapabilitiesResponse, Info};
use gantry_plugin::{Plugin, Plugins, SHORT, interface};

use super::{Sender, attributes, options};
use crate::error::{Error, Result};
use crate::logs::driver::{Driver, Options, Reading};
use crate::logs::kept::{self, Log};
use crate::record::Record;
pub use fifo::Fifos;

/// A reader of a log waits this long for a plugin to say whether it can read the log back.
const GLANCE: Duration = Duration::from_secs(5);

/// A driver whose name is not built in. The plugin has not been contacted yet.
#[derive(Clone, Debug)]
pub struct Plugged {
    name: String,
    plugins: Plugins,
    fifos: Fifos,
}

impl Plugged {
    /// The plugin of this name, which may or may not exist.
    pub fn new(name: &str, plugins: Plugins, fifos: Fifos) -> Plugged {
        Plugged { name: name.to_owned(), plugins, fifos }
    }

    /// Gets the plugin. The error has Docker's words for a plugin that cannot be used.
    async fn plugin(&self) -> std::result::Result<Plugin, String> {
        let found = self.plugins.get(&self.name, interface::LOG).await;
        found.map_err(|error| {
            format!("error looking up logging plugin {}: {}", self.name, gantry_rpc::chain(&error))
        })
    }

    async fn capabilities(&self) -> std::result::Result<(Plugin, CapabilitiesResponse), String> {
        let plugin = self.plugin().await?;
        let told = plugin.call("LogDriver.Capabilities", &Nothing {}, SHORT).await;
        told.map(|told| (plugin, told)).map_err(|error| gantry_rpc::chain(&error))
    }
}

#[tonic::async_trait]
impl Driver for Plugged {
    fn name(&self) -> &str {
        &self.name
    }

    /// The plugin checks all other options itself, at each start.
    fn log(&self, options: &Options) -> Result<Option<Log>> {
        kept::delivery(options)?;
        Log::cache(options).map(Some)
    }

    async fn find(&self) -> Result<()> {
        self.plugin().await.map(drop).map_err(Error::Invalid)
    }

    async fn reading(&self, record: &Record) -> Reading {
        let why = match tokio::time::timeout(GLANCE, self.capabilities()).await {
            Ok(Ok((plugin, told))) if told.cap.read_logs => {
                return Reading::Theirs(Box::new(reading::Theirs { plugin, info: info(record) }));
            }
            Ok(Ok(_)) => return options::reading(super::options_of(record)),
            Ok(Err(why)) => why,
            Err(_) => format!("no answer within {} s", GLANCE.as_secs()),
        };
        // The plugin does not answer: fall back to the shim's file.
        tracing::debug!(container = %record.id, plugin = self.name, why, "a plugin cannot be asked for a log");
        options::reading(super::options_of(record))
    }

    fn sender(&self, record: &Record, _hostname: &str) -> Result<Option<Box<dyn Sender>>> {
        Ok(Some(Box::new(delivery::Delivery::new(self.clone(), info(record)))))
    }
}

/// A container's facts in the form that plugins get.
fn info(record: &Record) -> Info {
    let (entrypoint, args) = match record.command.split_first() {
        Some((first, rest)) => (first.clone(), rest.to_vec()),
        None => (String::new(), Vec::new()),
    };
    let pair = |(key, value): (&String, &String)| (key.clone(), value.clone());
    Info {
        config: super::options_of(record).iter().map(pair).collect(),
        container_id: record.id.clone(),
        container_name: format!("/{}", record.name),
        container_entrypoint: entrypoint,
        container_args: args,
        container_image_id: record.image_id.clone(),
        container_image_name: record.config.image.clone(),
        container_created: attributes::created(record.created_at),
        container_env: record.config.env.clone(),
        container_labels: record.config.labels.iter().map(pair).collect(),
        log_path: String::new(),
        daemon_name: "docker".to_owned(),
    }
}
