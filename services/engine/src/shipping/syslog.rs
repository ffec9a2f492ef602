//! Lines of syslog: RFC 3164 and 5424, and the BSD form of a machine's own daemon.

use chrono::{DateTime, Local, SecondsFormat, TimeZone};

use super::{Entry, Facts};

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Without a host's name.
    Unix,
    Rfc3164,
    Rfc5424,
    /// With microseconds.
    Rfc5424Micro,
}

impl Form {
    /// A line as it goes over TLS: of RFC 5424 with its length before it, as RFC 5425 has it.
    pub fn framed(self, line: Vec<u8>) -> Vec<u8> {
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

/// A facility by its name or number.
pub fn facility(text: &str) -> Option<u8> {
    if text.is_empty() {
        return Some(3);
    }
    let by_name = FACILITIES.iter().find(|(name, _)| *name == text).map(|(_, number)| *number);
    by_name.or_else(|| text.parse().ok().filter(|number| FACILITIES.iter().any(|(_, known)| known == number)))
}

/// The line that an entry becomes.
pub fn line(form: Form, facility: u8, entry: &Entry, facts: &Facts, pid: u32) -> Vec<u8> {
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
