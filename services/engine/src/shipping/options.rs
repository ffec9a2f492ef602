//! The options of the drivers that ship, checked when a container is made, in Docker's words.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::Compression;
use gantry_docker::filters::truth;
use gantry_docker::moment;

use super::gelf::Packing;
use super::receiver::PATIENCE;
use super::syslog::{self, Form};
use super::tls::Certificates;
use crate::error::{Error, Result};

/// Options that put something beside each line.
const ATTRIBUTES: [&str; 5] = ["labels", "labels-regex", "env", "env-regex", "tag"];
const SYSLOG: [&str; 7] = [
    "syslog-address",
    "syslog-facility",
    "syslog-format",
    "syslog-tls-ca-cert",
    "syslog-tls-cert",
    "syslog-tls-key",
    "syslog-tls-skip-verify",
];
const GELF: [&str; 5] = [
    "gelf-address",
    "gelf-compression-level",
    "gelf-compression-type",
    "gelf-tcp-max-reconnect",
    "gelf-tcp-reconnect-delay",
];
const FLUENTD: [&str; 9] = [
    "fluentd-address",
    "fluentd-async",
    "fluentd-async-reconnect-interval",
    "fluentd-buffer-limit",
    "fluentd-max-retries",
    "fluentd-request-ack",
    "fluentd-retry-wait",
    "fluentd-sub-second-precision",
    "fluentd-write-timeout",
];

/// Where a receiver is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Udp(String),
    Tcp(String),
    /// TCP that has to prove who it leads to.
    Tls(String, Certificates),
    /// A socket of either kind.
    Unix(PathBuf),
    /// One for datagrams.
    UnixDatagrams(PathBuf),
    /// The machine's own syslog, wherever it listens.
    Local,
}

/// A driver with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Driver {
    Syslog {
        address: Address,
        facility: u8,
        form: Form,
    },
    Gelf {
        address: Address,
        packing: Packing,
        attempts: Option<u64>,
        pause: Duration,
    },
    Fluentd {
        address: Address,
        asynchronous: bool,
        acknowledged: bool,
        sub_second: bool,
        attempts: Option<u64>,
        pause: Duration,
        /// How old a connection may grow.
        renewed: Option<Duration>,
        /// How long the receiver may take to take a message.
        patience: Duration,
    },
    Journald,
}

/// Whether a driver sends its lines elsewhere.
pub fn is_shipped(driver: &str) -> bool {
    matches!(driver, "syslog" | "gelf" | "fluentd" | "journald")
}

/// Whether what a driver sends may be read here, too.
pub fn is_cached(driver: &str, options: &HashMap<String, String>) -> bool {
    !is_shipped(driver) || options.get("cache-disabled").is_none_or(|text| truth(text) != Some(true))
}

impl Driver {
    /// Reads a driver's options; `common` are those that every driver takes.
    pub fn parse(driver: &str, options: &HashMap<String, String>, common: &[&str]) -> Result<Driver> {
        let own: &[&str] = match driver {
            "syslog" => &SYSLOG,
            "gelf" => &GELF,
            "fluentd" => &FLUENTD,
            _ => &[],
        };
        let known =
            |key: &&String| [own, &ATTRIBUTES, common].iter().any(|some| some.contains(&key.as_str()));
        if let Some(key) = options.keys().find(|key| !known(key)) {
            let quoted = if driver == "gelf" { format!("{key:?}") } else { format!("'{key}'") };
            return Err(invalid(format!("unknown log opt {quoted} for {driver} log driver")));
        }
        let option = |key: &str| options.get(key).map_or("", String::as_str);
        match driver {
            "syslog" => Self::syslog(option, |key| options.contains_key(key)),
            "gelf" => Self::gelf(options),
            "fluentd" => Self::fluentd(option),
            _ => Ok(Driver::Journald),
        }
    }

    fn syslog<'a>(
        option: impl Fn(&'static str) -> &'a str,
        given: impl Fn(&'static str) -> bool,
    ) -> Result<Driver> {
        let address = option("syslog-address");
        let address = match address.split_once("://") {
            None if address.is_empty() => Address::Local,
            Some((scheme @ ("unix" | "unixgram"), path)) => {
                let path = PathBuf::from(path);
                std::fs::metadata(&path).map_err(|error| {
                    invalid(format!("stat {}: {}", path.display(), crate::archive::words(&error)))
                })?;
                if scheme == "unix" { Address::Unix(path) } else { Address::UnixDatagrams(path) }
            }
            Some(("udp", host)) => Address::Udp(with_port(host, 514)),
            Some(("tcp", host)) => Address::Tcp(with_port(host, 514)),
            Some(("tcp+tls", host)) => {
                let path = |key| Some(option(key)).filter(|path| !path.is_empty()).map(PathBuf::from);
                let own = [path("syslog-tls-cert"), path("syslog-tls-key")];
                let certificates = Certificates {
                    ca: path("syslog-tls-ca-cert"),
                    own: own.iter().any(Option::is_some).then(|| own.map(Option::unwrap_or_default)),
                    // Whatever it says.
                    anyone: given("syslog-tls-skip-verify"),
                };
                Address::Tls(with_port(host, 514), certificates)
            }
            other => {
                let scheme = other.map_or("", |(scheme, _)| scheme);
                return Err(invalid(format!("unsupported scheme: '{scheme}'")));
            }
        };
        let facility = syslog::facility(option("syslog-facility"));
        let facility = facility.ok_or_else(|| invalid("invalid syslog facility".to_owned()))?;
        let form = match option("syslog-format") {
            "" => Form::Unix,
            "rfc3164" => Form::Rfc3164,
            "rfc5424" => Form::Rfc5424,
            "rfc5424micro" => Form::Rfc5424Micro,
            _ => return Err(invalid("Invalid syslog format".to_owned())),
        };
        Ok(Driver::Syslog { address, facility, form })
    }

    fn gelf(options: &HashMap<String, String>) -> Result<Driver> {
        let option = |key: &str| options.get(key).map(String::as_str);
        let Some(address) = option("gelf-address").filter(|address| !address.is_empty()) else {
            return Err(invalid("gelf-address is a required parameter".to_owned()));
        };
        let (scheme, host) = address.split_once("://").unwrap_or(("", address));
        if !matches!(scheme, "udp" | "tcp") {
            return Err(invalid("gelf: endpoint needs to be TCP or UDP".to_owned()));
        }
        if host.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            return Err(invalid("gelf: please provide gelf-address as proto://host:port".to_owned()));
        }
        let packed = ["gelf-compression-level", "gelf-compression-type"];
        if scheme == "tcp" && packed.iter().any(|key| options.contains_key(*key)) {
            return Err(invalid("compression is only supported on UDP".to_owned()));
        }
        let mut counts = [3, 1];
        for (key, count) in
            ["gelf-tcp-max-reconnect", "gelf-tcp-reconnect-delay"].into_iter().zip(&mut counts)
        {
            let Some(text) = option(key) else { continue };
            if scheme == "udp" {
                return Err(invalid(format!("{key:?} is only valid for TCP")));
            }
            *count =
                text.parse::<u64>().map_err(|_| invalid(format!("{key:?} must be a positive integer")))?;
        }
        let unknown = |key: &str, value: &str| {
            invalid(format!("unknown value {value:?} for log opt {key:?} for gelf log driver"))
        };
        let level = match option("gelf-compression-level") {
            None => Compression::fast(),
            Some(text) => match text.parse::<i32>() {
                Ok(-1) => Compression::default(),
                Ok(level @ 0..=9) => Compression::new(level as u32),
                _ => return Err(unknown("gelf-compression-level", text)),
            },
        };
        let packing = match option("gelf-compression-type") {
            None | Some("gzip") => Packing::Gzip(level),
            Some("zlib") => Packing::Zlib(level),
            Some("none") => Packing::None,
            Some(other) => return Err(unknown("gelf-compression-type", other)),
        };
        let address = match scheme {
            "udp" => Address::Udp(host.to_owned()),
            _ => Address::Tcp(host.to_owned()),
        };
        let attempts = options.contains_key("gelf-tcp-max-reconnect").then_some(counts[0]);
        Ok(Driver::Gelf { address, packing, attempts, pause: Duration::from_secs(counts[1]) })
    }

    fn fluentd<'a>(option: impl Fn(&'static str) -> &'a str) -> Result<Driver> {
        let text = option("fluentd-address");
        let refused = |why: String| invalid(format!("invalid fluentd-address ({text}): {why}"));
        let address = match text.split_once("://") {
            None if text.is_empty() => Address::Tcp("127.0.0.1:24224".to_owned()),
            None => Address::Tcp(with_port(text, 24224)),
            Some(("tcp", host)) => Address::Tcp(with_port(host, 24224)),
            Some(("unix", path)) if Path::new(path).is_absolute() => Address::Unix(PathBuf::from(path)),
            Some(("unix", _)) => return Err(refused("path is empty".to_owned())),
            Some(("tls", host)) => Address::Tls(with_port(host, 24224), Certificates::default()),
            Some((scheme, _)) => return Err(refused(format!("unsupported scheme: '{scheme}'"))),
        };
        let truth = |key: &'static str| match option(key) {
            "" => Ok(false),
            text => truth(text)
                .ok_or_else(|| invalid(format!("strconv.ParseBool: parsing {text:?}: invalid syntax"))),
        };
        let span = |key: &'static str| match option(key) {
            "" => Ok(None),
            text => {
                duration(text).map(Some).ok_or_else(|| invalid(format!("time: invalid duration {text:?}")))
            }
        };
        let limit = option("fluentd-buffer-limit");
        if !limit.is_empty() && crate::container::log::bytes_of(limit).is_none() {
            return Err(invalid(format!("invalid size: '{limit}'")));
        }
        let attempts = match option("fluentd-max-retries") {
            "" => None,
            text => Some(
                text.parse::<u64>()
                    .map_err(|_| invalid(format!("strconv.ParseUint: parsing {text:?}: invalid syntax")))?,
            ),
        };
        let named = |key: &'static str, words: &str| {
            span(key).map_err(|error| invalid(format!("invalid value for {key}: {words}{error}")))
        };
        let patience = named("fluentd-write-timeout", "value must be a duration: ")?.unwrap_or(PATIENCE);
        let renewed = named("fluentd-async-reconnect-interval", "")?;
        if renewed.is_some_and(|pause| !(100..=10_000).contains(&pause.as_millis())) {
            let text = option("fluentd-async-reconnect-interval");
            return Err(invalid(format!(
                "invalid value for fluentd-async-reconnect-interval: value ({text:?}) must be between 100ms and 10s"
            )));
        }
        let pause = span("fluentd-retry-wait")?.unwrap_or(Duration::from_secs(1));
        Ok(Driver::Fluentd {
            address,
            asynchronous: truth("fluentd-async")?,
            acknowledged: truth("fluentd-request-ack")?,
            sub_second: truth("fluentd-sub-second-precision")?,
            attempts,
            pause,
            renewed,
            patience,
        })
    }
}

fn with_port(host: &str, port: u16) -> String {
    let behind = host.rsplit(']').next().unwrap_or(host);
    if behind.contains(':') { host.to_owned() } else { format!("{host}:{port}") }
}

fn duration(text: &str) -> Option<Duration> {
    moment::parse_duration(text).and_then(|nanos| u64::try_from(nanos).ok()).map(Duration::from_nanos)
}

fn invalid(text: String) -> Error {
    Error::Invalid(text)
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
