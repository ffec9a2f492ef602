//! Helpers with which the sending drivers read their options. Errors have Docker's words.

use std::time::Duration;

use gantry_docker::filters::truth;
use gantry_docker::moment;

use crate::error::Error;
use crate::logs::driver::{Options, Reading};

/// The source of the log for a driver that sends: the cache, unless an option disables it.
pub fn reading(options: &Options) -> Reading {
    match options.get("cache-disabled").and_then(|text| truth(text)) {
        Some(true) => Reading::Nobody,
        _ => Reading::Kept,
    }
}

/// The value of an option; empty if it is not given.
pub fn text<'a>(options: &'a Options, key: &str) -> &'a str {
    options.get(key).map_or("", String::as_str)
}

/// Appends the port to a host that has none.
pub fn with_port(host: &str, port: u16) -> String {
    let behind = host.rsplit(']').next().unwrap_or(host);
    if behind.contains(':') { host.to_owned() } else { format!("{host}:{port}") }
}

/// Reads a duration as Go writes it.
pub fn duration(text: &str) -> Option<Duration> {
    moment::parse_duration(text).and_then(|nanos| u64::try_from(nanos).ok()).map(Duration::from_nanos)
}

/// An error for an invalid option.
pub fn invalid(text: impl Into<String>) -> Error {
    Error::Invalid(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_added_where_there_is_none() {
        assert_eq!(with_port("h", 514), "h:514");
        assert_eq!(with_port("[::1]", 514), "[::1]:514");
        assert_eq!(with_port("[::1]:5", 514), "[::1]:5");
    }
}
