//! The service's settings: `/etc/gantry/images.toml`, all of it optional.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gantry_daemon::settings::Duration;
use serde::Deserialize;

use crate::error::Error;
use gantry_distribution as distribution;

/// The file, as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The snapshotter for images whose request names none.
    pub snapshotter: Option<String>,
    /// Layers fetched at once in one pull.
    pub connections: Option<usize>,
    /// Directories with registries' certificates, beside the service's own.
    pub certificates: Option<Vec<PathBuf>>,
    /// By registry: base addresses that are asked before it.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Hosts (`host[:port]`) that may be spoken to without TLS, or with any certificate.
    pub insecure: Vec<String>,
    /// How long connecting may take, as in `"10s"`.
    pub connect_timeout: Option<Duration>,
    /// How long a request may go without a byte.
    pub idle_timeout: Option<Duration>,
}

/// The snapshotter of a default installation.
pub const DEFAULT_SNAPSHOTTER: &str = "overlayfs";

impl Settings {
    /// Where registries' certificates are looked for, beside the service's own directory.
    pub fn certificate_directories(&self) -> Vec<PathBuf> {
        let default = || distribution::Settings::default().certificate_directories;
        self.certificates.clone().unwrap_or_else(default)
    }

    /// The registry client's part, checked; certificates are also looked for in `own`.
    pub fn remote(&self, own: &Path) -> Result<distribution::Settings, Error> {
        let defaults = distribution::Settings::default();
        let mut certificate_directories = self.certificate_directories();
        certificate_directories.push(own.join("certs.d"));
        let span = |what, value: Option<Duration>, default| match value.map(std::time::Duration::from) {
            None => Ok(default),
            Some(std::time::Duration::ZERO) => Err(Error::Setting { what, value: "0".into() }),
            Some(span) => Ok(span),
        };
        let connections = self.connections.unwrap_or(defaults.connections);
        if !(1..=64).contains(&connections) {
            return Err(Error::Setting { what: "connections", value: connections.to_string() });
        }
        Ok(distribution::Settings {
            certificate_directories,
            mirrors: self.mirrors.clone(),
            insecure: self.insecure.clone(),
            connect_timeout: span("connect_timeout", self.connect_timeout, defaults.connect_timeout)?,
            idle_timeout: span("idle_timeout", self.idle_timeout, defaults.idle_timeout)?,
            connections,
            ..defaults
        })
    }
}
