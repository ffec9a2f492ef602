//! A service's settings: TOML, all of it optional.
//!
//! The precedence, highest first: `--set KEY=VALUE`, the environment's `GANTRY_<SERVICE>_<KEY>`, the file, the
//! default. The file is the one that `--config` names, or `<service>.toml` in the directory that it names, or
//! `/etc/gantry/<service>.toml`. A value on the command line or in the environment is TOML, or else plain text.
//!
//! Every service has the keys of [`Common`]; the other keys are those of the service's own type, which refuses
//! unknown ones (`#[serde(default, deny_unknown_fields)]`). All settings are read before anything is opened.

mod units;

use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

pub use units::{Duration, Size};

/// The directory of the files, unless `--config` names another.
const FOLDER: &str = "/etc/gantry";

/// Why settings are invalid.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("read settings {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("settings {}, line {line}: {}", path.display(), reason.lines().collect::<Vec<_>>().join(", "))]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The reason.
        reason: String,
    },
    /// `--set` without a key.
    #[error("--set {0}: expected KEY=VALUE")]
    Pair(String),
    /// An unknown key, or a value of the wrong type.
    #[error("settings of {service}: {}", reason.lines().collect::<Vec<_>>().join(", "))]
    Value {
        /// The service.
        service: &'static str,
        /// The key and the reason.
        reason: String,
    },
}

/// The keys that every service has.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Common {
    /// What to log, as in `info,gantry_content=debug`.
    pub log: Option<String>,
    /// Logs as JSON.
    pub log_json: Option<bool>,
    /// The OTLP collector (gRPC) that gets the traces: `http://host:4317`.
    pub otlp_endpoint: Option<String>,
    /// Whether changes are recorded in the audit record.
    pub audit: Option<bool>,
    /// The size of a file of the audit record.
    pub audit_size: Option<Size>,
    /// How many files of the audit record are kept.
    pub audit_files: Option<u32>,
    /// How many changes the service carries out at a time.
    pub changes: Option<NonZero<usize>>,
}

const COMMON: [&str; 7] =
    ["log", "log_json", "otlp_endpoint", "audit", "audit_size", "audit_files", "changes"];

/// The settings of a service with the common keys only.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct None {}

/// A service's settings, merged from all sources.
#[derive(Debug, Clone)]
pub struct Settings {
    service: &'static str,
    own: Table,
    common: Table,
}

impl Settings {
    /// The defaults.
    pub fn empty(service: &'static str) -> Self {
        Self { service, own: Table::new(), common: Table::new() }
    }

    /// The settings from this text, for tests.
    pub(crate) fn written(service: &'static str, text: &str) -> Self {
        let own = text.parse().expect("settings in a test are TOML");
        Self { service, own, common: Table::new() }
    }

    /// Reads and merges the settings. `set` has the command line's pairs, `environment` every variable.
    pub(crate) fn load(
        service: &'static str,
        config: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        set: &[String],
    ) -> Result<Self, Error> {
        let mut own = file(service, config)?;
        let prefix = format!("GANTRY_{}_", service.to_uppercase());
        for (name, text) in environment {
            if let Some(key) = name.strip_prefix(&prefix) {
                own.insert(key.to_lowercase(), value(&text));
            }
        }
        for pair in set {
            let (key, text) = pair.split_once('=').ok_or_else(|| Error::Pair(pair.clone()))?;
            own.insert(key.to_owned(), value(text));
        }
        let common = COMMON.iter().filter_map(|key| own.remove(*key).map(|value| ((*key).to_owned(), value)));
        let common = common.collect();
        Ok(Self { service, own, common })
    }

    /// The service's own keys.
    ///
    /// # Errors
    ///
    /// When a key is unknown to `T`, or a value has the wrong type.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.read(&self.own)
    }

    pub(crate) fn common(&self) -> Result<Common, Error> {
        self.read(&self.common)
    }

    fn read<T: DeserializeOwned>(&self, table: &Table) -> Result<T, Error> {
        let refused = |error: toml::de::Error| Error::Value {
            service: self.service,
            reason: error.message().to_owned(),
        };
        table.clone().try_into().map_err(refused)
    }
}

/// The table of the file; empty when there is no file and none was named.
fn file(service: &str, config: Option<&Path>) -> Result<Table, Error> {
    let folder = match config {
        Some(named) if !named.is_dir() => return parse(named),
        Some(folder) => folder,
        None => Path::new(FOLDER),
    };
    match parse(&folder.join(format!("{service}.toml"))) {
        Err(Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(Table::new()),
        result => result,
    }
}

fn parse(path: &Path) -> Result<Table, Error> {
    let text =
        std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|at| text.get(..at.start)).unwrap_or_default();
        let line = 1 + before.matches('\n').count();
        Error::Syntax { path: path.to_owned(), line, reason: error.message().to_owned() }
    })
}

/// Parses a value as TOML, or else takes it as text.
fn value(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>().ok().filter(|table| table.len() == 1);
    parsed.and_then(|mut table| table.remove("value")).unwrap_or_else(|| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Own {
        mode: u32,
        name: String,
        patience: Option<Duration>,
    }

    fn load(text: &str, environment: &[(&str, &str)], set: &[&str]) -> Result<Settings, Error> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("content.toml"), text).expect("written");
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let set: Vec<_> = set.iter().map(|pair| (*pair).to_owned()).collect();
        Settings::load("content", Some(folder.path()), environment, &set)
    }

    #[test]
    fn the_command_line_wins_over_the_environment_over_the_file() {
        let file = "mode = 1\nname = \"file\"\npatience = \"3s\"\nlog = \"debug\"";
        let environment =
            [("GANTRY_CONTENT_MODE", "0o2"), ("GANTRY_CONTENT_NAME", "environment"), ("GANTRY_ROOT", "/x")];
        let settings = load(file, &environment, &["mode=3"]).expect("valid");
        let own: Own = settings.parse().expect("valid");
        assert_eq!((own.mode, own.name.as_str()), (3, "environment"));
        assert_eq!(own.patience.map(std::time::Duration::from), Some(std::time::Duration::from_secs(3)));
        assert_eq!(settings.common().expect("valid").log.as_deref(), Some("debug"));
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        let error = load("sped = 1", &[], &[]).expect("TOML").parse::<Own>().expect_err("unknown");
        assert!(error.to_string().contains("sped"), "{error}");
        let error = load("", &[], &["mode=fast"]).expect("a pair").parse::<Own>().expect_err("no number");
        assert!(error.to_string().starts_with("settings of content: "), "{error}");
        assert!(load("", &[], &["mode"]).is_err());
        let error = load("name = \"x\"\nmode = ", &[], &[]).expect_err("no value").to_string();
        assert!(error.contains("content.toml, line 2: ") && !error.contains('\n'), "{error}");
        load("", &[("GANTRY_CONTENT_SPED", "1")], &[]).expect("read").parse::<Own>().expect_err("unknown");
    }

    #[test]
    fn only_a_named_file_has_to_be_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let none: [(String, String); 0] = [];
        Settings::load("content", Some(folder.path()), none.clone(), &[]).expect("the defaults");
        Settings::load("content", Some(&folder.path().join("x.toml")), none, &[]).expect_err("missing");
    }
}
