//! The options of a container's log (`--log-opt`), which are checked when the container starts.

use std::collections::BTreeMap;
use std::time::Duration;

use gantry_plugin_sdk::{Error, Result};
use http::{HeaderName, HeaderValue, Uri};
use regex::Regex;

/// Options that the engine interprets and passes on.
const ENGINE: [&str; 6] =
    ["mode", "max-buffer-size", "cache-disabled", "cache-max-size", "cache-max-file", "cache-compress"];
const OWN: [&str; 11] = [
    "otlp-endpoint",
    "otlp-protocol",
    "otlp-headers",
    "otlp-timeout",
    "otlp-batch",
    "otlp-batch-wait",
    "otlp-give-up",
    "labels",
    "labels-regex",
    "env",
    "env-regex",
];
/// Most records of a batch, because a batch is kept in memory.
const LARGEST: usize = 10_000;

/// The protocol of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Over gRPC.
    Grpc,
    /// HTTP: POSTs of protobuf messages.
    Http,
}

/// A selection of labels or variables.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    names: Vec<String>,
    expression: Option<Regex>,
}

/// A container's options.
#[derive(Clone, Debug)]
pub struct Options {
    /// The collector's address.
    pub endpoint: Uri,
    /// The protocol to the collector.
    pub protocol: Protocol,
    /// Headers of each request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Time limit of a request.
    pub timeout: Duration,
    /// Most records per request; as many more, if they are short, wait in the queue.
    pub batch: usize,
    /// How long a record waits for more records.
    pub wait: Duration,
    /// Time after which a batch that the collector has not accepted is lost; `None` for never.
    pub give_up: Option<Duration>,
    /// The labels that are sent.
    pub labels: Wanted,
    /// The variables that are sent.
    pub env: Wanted,
}

impl Options {
    /// Parses the options. `endpoint` is the default address of the collector.
    ///
    /// # Errors
    /// An option that is not valid.
    pub fn parse(config: &BTreeMap<String, String>, endpoint: &str) -> Result<Options> {
        let known = |key: &&String| ENGINE.contains(&key.as_str()) || OWN.contains(&key.as_str());
        if let Some(key) = config.keys().find(|key| !known(key)) {
            return Err(Error::new(format!("unknown log opt '{key}' for otlp log driver")));
        }
        let option = |key: &str| config.get(key).map(String::as_str).filter(|text| !text.is_empty());
        let span = |key: &str, default| option(key).map_or(Ok(default), |text| duration(key, text));
        let batch = option("otlp-batch").map_or(Ok(512), |text| match text.parse() {
            Ok(count @ 1..=LARGEST) => Ok(count),
            _ => Err(refused("otlp-batch", text, &format!("must be a number from 1 to {LARGEST}"))),
        })?;
        let protocol = match option("otlp-protocol") {
            None | Some("grpc") => Protocol::Grpc,
            Some("http/protobuf") => Protocol::Http,
            Some(text) => {
                return Err(refused("otlp-protocol", text, "must be grpc or http/protobuf"));
            }
        };
        Ok(Options {
            endpoint: address(option("otlp-endpoint").unwrap_or(endpoint))?,
            protocol,
            headers: headers(option("otlp-headers").unwrap_or(""))?,
            timeout: span("otlp-timeout", Duration::from_secs(10))?,
            batch,
            wait: span("otlp-batch-wait", Duration::from_millis(200))?,
            give_up: option("otlp-give-up").map(|text| duration("otlp-give-up", text)).transpose()?,
            labels: Wanted::parse("labels", option("labels"), option("labels-regex"))?,
            env: Wanted::parse("env", option("env"), option("env-regex"))?,
        })
    }
}

impl Wanted {
    fn parse(key: &str, names: Option<&str>, expression: Option<&str>) -> Result<Wanted> {
        let names = names.map(|text| text.split(',').map(str::to_owned).collect()).unwrap_or_default();
        let expression = expression
            .map(|text| {
                Regex::new(text)
                    .map_err(|_| refused(&format!("{key}-regex"), text, "must be a regular expression"))
            })
            .transpose()?;
        Ok(Wanted { names, expression })
    }

    /// Whether the selection contains this name.
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|one| one == name)
            || self.expression.as_ref().is_some_and(|expression| expression.is_match(name))
    }
}

fn refused(key: &str, value: &str, why: &str) -> Error {
    Error::new(format!("invalid value {value:?} for log opt '{key}': it {why}"))
}

fn address(text: &str) -> Result<Uri> {
    let why = "must be an address as http://127.0.0.1:4317";
    let uri: Uri = text.parse().map_err(|_| refused("otlp-endpoint", text, why))?;
    match uri.scheme_str() {
        Some("http") if uri.authority().is_some() => Ok(uri),
        Some("https") => Err(refused("otlp-endpoint", text, "must not be https: TLS is not spoken")),
        _ => Err(refused("otlp-endpoint", text, why)),
    }
}

/// Parses `name=value,name=value`.
fn headers(text: &str) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let odd = || refused("otlp-headers", text, "must be name=value,name=value");
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').ok_or_else(odd)?;
            let name = name.trim().to_ascii_lowercase().parse().map_err(|_| odd())?;
            Ok((name, value.trim().parse().map_err(|_| odd())?))
        })
        .collect()
}

/// Parses a number with a unit: `ms`, `s`, `m` or `h`.
fn duration(key: &str, text: &str) -> Result<Duration> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit = match &text[end..] {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let count = text[..end].parse::<u64>().ok().filter(|count| *count > 0);
    let millis = unit.zip(count).and_then(|(unit, count)| count.checked_mul(unit));
    millis.map(Duration::from_millis).ok_or_else(|| refused(key, text, "must be a time as 500ms, 10s or 1h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(options: &[(&str, &str)]) -> Result<Options> {
        let config = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Options::parse(&config, "http://127.0.0.1:4317")
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let options = parsed(&[("mode", "non-blocking"), ("otlp-give-up", "1h")]).expect("accepted");
        assert_eq!((options.protocol, options.batch), (Protocol::Grpc, 512));
        assert_eq!(options.give_up, Some(Duration::from_secs(3600)));
        assert_eq!(options.endpoint.to_string(), "http://127.0.0.1:4317/");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (option, words) in [
            (("colour", "red"), "unknown log opt 'colour' for otlp log driver"),
            (
                ("otlp-protocol", "http/json"),
                "invalid value \"http/json\" for log opt 'otlp-protocol': it must be grpc or http/protobuf",
            ),
            (
                ("otlp-endpoint", "host:4317"),
                "invalid value \"host:4317\" for log opt 'otlp-endpoint': it must be an address as http://127.0.0.1:4317",
            ),
            (
                ("otlp-endpoint", "https://h"),
                "invalid value \"https://h\" for log opt 'otlp-endpoint': it must not be https: TLS is not spoken",
            ),
            (
                ("otlp-batch", "0"),
                "invalid value \"0\" for log opt 'otlp-batch': it must be a number from 1 to 10000",
            ),
            (
                ("otlp-timeout", "10"),
                "invalid value \"10\" for log opt 'otlp-timeout': it must be a time as 500ms, 10s or 1h",
            ),
            (
                ("otlp-headers", "a"),
                "invalid value \"a\" for log opt 'otlp-headers': it must be name=value,name=value",
            ),
            (
                ("labels-regex", "("),
                "invalid value \"(\" for log opt 'labels-regex': it must be a regular expression",
            ),
        ] {
            assert_eq!(parsed(&[option]).map(drop), Err(Error::new(words)));
        }
    }
}
