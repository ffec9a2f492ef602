//! `syslog`: RFC 3164 and 5424, and the BSD form of a machine's own daemon.

use std::path::PathBuf;

use chrono::{DateTime, Local, SecondsFormat, TimeZone};

use super::options::{self, invalid, with_port};
use super::receiver::Address;
use super::remote::{Messages, Protocol, Remote, Remotely};
use super::tls::Certificates;
use super::{Entry, Facts};
use crate::error::Result;
use crate::logs::driver::{ATTRIBUTES, Options, known};

const OPTIONS: [&str; 7] = [
    "syslog-address",
    "syslog-facility",
    "syslog-format",
    "syslog-tls-ca-cert",
    "syslog-tls-cert",
    "syslog-tls-key",
    "syslog-tls-skip-verify",
];

/// The driver.
#[derive(Debug)]
pub struct Syslog;

impl Remotely for Syslog {
    type Protocol = Spoken;

    const NAME: &'static str = "syslog";

    fn remote(options: &Options) -> Result<Remote<Spoken>> {
        known(options, &[&OPTIONS, &ATTRIBUTES], |key| {
            format!("unknown log opt '{key}' for syslog log driver")
        })?;
        let option = |key| options::text(options, key);
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
                    // The option disables the check whatever its value is.
                    anyone: options.contains_key("syslog-tls-skip-verify"),
                };
                Address::Tls(with_port(host, 514), certificates)
            }
            other => {
                let scheme = other.map_or("", |(scheme, _)| scheme);
                return Err(invalid(format!("unsupported scheme: '{scheme}'")));
            }
        };
        let facility = facility(option("syslog-facility"));
        let facility = facility.ok_or_else(|| invalid("invalid syslog facility"))?;
        let form = match option("syslog-format") {
            "" => Form::Unix,
            "rfc3164" => Form::Rfc3164,
            "rfc5424" => Form::Rfc5424,
            "rfc5424micro" => Form::Rfc5424Micro,
            _ => return Err(invalid("Invalid syslog format")),
        };
        let framed = matches!(address, Address::Tls(..));
        Ok(Remote::new(Spoken { facility, form, framed }, address))
    }
}

/// The protocol with its settings.
#[derive(Debug)]
pub struct Spoken {
    facility: u8,
    form: Form,
    /// Whether messages are framed by their length, as over TLS.
    framed: bool,
}

impl Protocol for Spoken {
    fn messages(&self, entry: &Entry, facts: &Facts, _ordinal: u64) -> Messages {
        let line = line(self.form, self.facility, entry, facts, std::process::id());
        Messages::from(if self.framed { self.form.framed(line) } else { line })
    }
}

/// The format of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// RFC 3164 without a host name.
    Unix,
    Rfc3164,
    Rfc5424,
    /// RFC 5424 with microseconds.
    Rfc5424Micro,
}

impl Form {
    /// Frames a line for TLS: a line of RFC 5424 is preceded by its length, as RFC 5425 requires.
    fn framed(self, line: Vec<u8>) -> Vec<u8> {
        match self {
            Form::Unix | Form::Rfc3164 => line,
            Form::Rfc5424 | Form::Rfc5424Micro => [line.len().to_string().as_bytes(), b" ", &line].concat(),
        }
    }
}

const FACILITIES: [(&str, u8); 20] = [
    ("kern", 0),
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("syslog", 5),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("cron", 9),
    ("authpriv", 10),
    ("ftp", 11),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

/// Reads a facility by its name or number.
fn facility(text: &str) -> Option<u8> {
    if text.is_empty() {
        return Some(3);
    }
    let by_name = FACILITIES.iter().find(|(name, _)| *name == text).map(|(_, number)| *number);
    by_name.or_else(|| text.parse().ok().filter(|number| FACILITIES.iter().any(|(_, known)| known == number)))
}

/// Formats an entry.
fn line(form: Form, facility: u8, entry: &Entry, facts: &Facts, pid: u32) -> Vec<u8> {
    let severity = if entry.error { 3 } else { 6 };
    let priority = facility << 3 | severity;
    let time: DateTime<Local> = Local.timestamp_nanos(entry.nanos());
    let stamp = time.format("%b %e %H:%M:%S");
    let (tag, host, text) = (&facts.tag, &facts.hostname, &entry.text);
    let modern = |time: String| format!("<{priority}>1 {time} {host} {tag} {pid} {tag} - {text}");
    let mut line = match form {
        Form::Unix => format!("<{priority}>{stamp} {tag}[{pid}]: {text}"),
        Form::Rfc3164 => format!("<{priority}>{stamp} {host} {tag}[{pid}]: {text}"),
        Form::Rfc5424 => modern(time.to_rfc3339_opts(SecondsFormat::Secs, true)),
        Form::Rfc5424Micro => modern(time.to_rfc3339_opts(SecondsFormat::Micros, true)),
    };
    if !line.ends_with('\n') {
        line.push('\n');
    }
    line.into_bytes()
}
