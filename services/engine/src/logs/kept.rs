//! What is kept of a container's output: the file that the shim writes. The shim gets it as a URI when the container
//! starts.
//!
//! The file is Docker's json-file for every driver, with the driver's rotation. Rotated files are not compressed; a
//! user who asks for compression gets a warning.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use gantry_docker::filters::truth;
use regex::Regex;

use super::driver::{Drivers, Options};
use crate::error::{Error, Result};
use crate::record::Record;
use crate::shipping;

/// Options of a log that rotates.
pub(crate) const ROTATION: [&str; 3] = ["max-size", "max-file", "compress"];
/// The rotation of `local`, and of the cache of a driver that sends lines elsewhere.
pub(crate) const CACHE: Defaults = Defaults { max_size: Some(20 << 20), max_files: 5 };

/// A driver's rotation, for options that the user has not set.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// See [`Log`].
    pub max_size: Option<u64>,
    /// See [`Log`].
    pub max_files: u32,
}

/// The log that the shim keeps, with its rotation.
#[derive(Debug, PartialEq, Eq)]
pub struct Log {
    /// Bytes after which the file is rotated; `None` for never.
    max_size: Option<u64>,
    /// Files that are kept, including the present one.
    max_files: u32,
    /// Whether the user asked for compression.
    compress: bool,
}

impl Log {
    /// The log of a driver that keeps lines on this machine.
    pub(crate) fn rotated(options: &Options, defaults: Defaults) -> Result<Log> {
        delivery(options)?;
        check_expressions(options)?;
        let log = Self::read(options, ["max-size", "max-file", "compress"], defaults)?;
        if log.compress && (log.max_files < 2 || log.max_size.is_none()) {
            return Err(invalid(
                "compress cannot be true when max-file is less than 2 or max-size is not set".to_owned(),
            ));
        }
        Ok(log)
    }

    /// The cache of a driver that sends lines elsewhere.
    pub(crate) fn cache(options: &Options) -> Result<Log> {
        Self::read(options, ["cache-max-size", "cache-max-file", "cache-compress"], CACHE)
    }

    fn read(options: &Options, keys: [&str; 3], defaults: Defaults) -> Result<Log> {
        let [size, files, compress] = keys.map(|key| options.get(key));
        Ok(Log {
            max_size: size.map_or(Ok(defaults.max_size), |text| size_of(text))?,
            max_files: files.map_or(Ok(defaults.max_files), |text| count_of(text))?,
            compress: compress.map_or(Ok(false), |text| truth_of(keys[2], text))?,
        })
    }

    /// A warning for the user.
    pub fn warning(&self) -> Option<String> {
        let text = "Rotated log files are not compressed: the log option \"compress\" has no effect.";
        self.compress.then(|| text.to_owned())
    }
}

/// The URI that tells the shim the log's path, rotation and attributes.
pub fn uri(drivers: &Drivers, record: &Record, path: &Path) -> Result<String> {
    let Some(log) = drivers.log(record.host.log_config.as_ref())? else {
        return Ok("none:".to_owned());
    };
    let mut query = Vec::new();
    if let Some(size) = log.max_size {
        query.push(format!("max-size={size}&max-file={}", log.max_files));
    }
    if drivers.of(record)?.is_shown() {
        let attributes = attributes(record)?;
        if !attributes.is_empty() {
            let json = serde_json::to_string(&attributes).expect("a map of texts serialises");
            query.push(format!("attrs={}", escaped(&json)));
        }
    }
    let mut uri = format!("json-file://{}", escaped(&path.display().to_string()));
    if !query.is_empty() {
        uri.push('?');
        uri.push_str(&query.join("&"));
    }
    Ok(uri)
}

/// The labels, variables and tag that are written with each line.
fn attributes(record: &Record) -> Result<BTreeMap<String, String>> {
    let Some(log) = &record.host.log_config else { return Ok(BTreeMap::new()) };
    let mut attributes = shipping::extra(record, &log.config);
    if log.config.contains_key("tag") {
        attributes.insert("tag".to_owned(), shipping::Facts::of(record, "")?.tag);
    }
    Ok(attributes)
}

/// Refuses invalid regular expressions.
pub(crate) fn check_expressions(options: &Options) -> Result<()> {
    for key in ["labels-regex", "env-regex"] {
        if let Some(text) = options.get(key) {
            Regex::new(text).map_err(|error| invalid(format!("log opt {key}: {error}")))?;
        }
    }
    Ok(())
}

/// Checks the option `mode`, which says whether the container waits for its log. The container only ever waits for a
/// write to the page cache, which is what `non-blocking` asks for, so both modes behave the same. Lines that a
/// receiver has not taken yet are in the cache, which is larger than any buffer.
pub(crate) fn delivery(options: &Options) -> Result<()> {
    if let Some(text) = options.get("cache-disabled")
        && truth_of("cache-disabled", text).is_err()
    {
        return Err(invalid(format!("invalid value for option cache-disabled: {text}")));
    }
    let mode = options.get("mode").map_or("", String::as_str);
    if !matches!(mode, "" | "blocking" | "non-blocking") {
        return Err(invalid(format!("logger: logging mode not supported: {mode}")));
    }
    match options.get("max-buffer-size") {
        Some(_) if mode != "non-blocking" => Err(invalid(
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'".to_owned(),
        )),
        Some(size) => size_of(size).map(drop),
        None => Ok(()),
    }
}

/// Reads a size in decimal units, as Docker reads log sizes: `10m` is ten million bytes. -1 means no limit.
fn size_of(text: &str) -> Result<Option<u64>> {
    if text == "-1" {
        return Ok(None);
    }
    let refused = || invalid(format!("invalid size: '{text}'"));
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let number: f64 = lower[..digits].parse().map_err(|_| refused())?;
    let unit = match lower[digits..].trim().trim_end_matches('b') {
        "" => 1.0,
        "k" => 1e3,
        "m" => 1e6,
        "g" => 1e9,
        "t" => 1e12,
        _ => return Err(refused()),
    };
    Ok(Some((number * unit) as u64))
}

/// Reads a size in bytes that must be a number.
pub(crate) fn bytes_of(text: &str) -> Option<u64> {
    size_of(text).ok().flatten()
}

fn count_of(text: &str) -> Result<u32> {
    match text.parse() {
        Ok(count @ 1..) => Ok(count),
        Ok(_) => Err(invalid("max-file cannot be less than 1".to_owned())),
        Err(_) => Err(invalid(format!("max-file is not a number: '{text}'"))),
    }
}

fn truth_of(key: &str, text: &str) -> Result<bool> {
    truth(text).ok_or_else(|| invalid(format!("log opt {key} is neither true nor false: '{text}'")))
}

fn invalid(text: String) -> Error {
    Error::Invalid(text)
}

/// Percent-encodes the characters that parts of a URI may not contain.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                out.push(char::from(byte))
            }
            other => write!(out, "%{other:02X}").expect("a string takes what is written"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use gantry_api::engine::LogConfig;

    use super::*;

    fn drivers() -> Drivers {
        crate::app::own_log_drivers()
    }

    fn config(driver: &str, options: &[(&str, &str)]) -> LogConfig {
        let config = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        LogConfig { r#type: driver.to_owned(), config }
    }

    fn parsed(driver: &str, options: &[(&str, &str)]) -> Result<Option<Log>> {
        drivers().log(Some(&config(driver, options)))
    }

    #[test]
    fn sizes_are_decimal_and_drivers_have_their_defaults() {
        let log = |max_size, max_files| Some(Log { max_size, max_files, compress: false });
        for (driver, options, expected) in [
            ("", &[][..], log(None, 1)),
            ("json-file", &[("max-size", "10m"), ("max-file", "3")], log(Some(10_000_000), 3)),
            ("json-file", &[("max-size", "1.5k")], log(Some(1500), 1)),
            ("json-file", &[("max-size", "-1")], log(None, 1)),
            ("local", &[], log(Some(20 << 20), 5)),
            ("none", &[("anything", "1")], None),
        ] {
            assert_eq!(parsed(driver, options).expect("accepted"), expected, "{driver} {options:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (driver, options) in [
            ("splunk", &[][..]),
            ("gelf", &[]),
            ("syslog", &[("colour", "red")]),
            ("syslog", &[("cache-disabled", "perhaps")]),
            ("local", &[("labels", "a")]),
            ("json-file", &[("colour", "red")]),
            ("json-file", &[("max-size", "10q")]),
            ("json-file", &[("max-file", "0")]),
            ("json-file", &[("compress", "true")]),
            ("json-file", &[("compress", "perhaps"), ("max-size", "1m"), ("max-file", "2")]),
            ("json-file", &[("mode", "later")]),
            ("json-file", &[("max-buffer-size", "1m")]),
            ("json-file", &[("labels-regex", "(")]),
        ] {
            assert!(parsed(driver, options).is_err(), "{driver} {options:?}");
        }
    }

    #[test]
    fn compression_is_warned_of_only_when_asked_for() {
        let asked = [("max-size", "1m"), ("max-file", "2"), ("compress", "true")];
        assert!(parsed("json-file", &asked).expect("accepted").expect("a log").warning().is_some());
        assert!(parsed("local", &[]).expect("accepted").expect("a log").warning().is_none());
    }

    #[test]
    fn the_uri_has_rotation_and_attributes() {
        let mut record = Record::default();
        record.config.labels.insert("team".to_owned(), "blue & green".to_owned());
        record.config.env = vec!["STAGE=test".to_owned(), "SECRET=1".to_owned()];
        let options = [("max-size", "10m"), ("max-file", "3"), ("labels", "team"), ("env-regex", "^STA")];
        record.host.log_config = Some(config("json-file", &options));
        assert_eq!(
            uri(&drivers(), &record, Path::new("/a/x.log")).expect("accepted"),
            "json-file:///a/x.log?max-size=10000000&max-file=3\
             &attrs=%7B%22STAGE%22%3A%22test%22%2C%22team%22%3A%22blue%20%26%20green%22%7D"
        );
        record.host.log_config = Some(config("none", &[]));
        assert_eq!(uri(&drivers(), &record, Path::new("/a")).expect("accepted"), "none:");
    }
}
