//! Converts log entries into records, and joins the parts of long lines.

use std::time::{SystemTime, UNIX_EPOCH};

use gantry_plugin_sdk::log::{Entry, Info};

use crate::options::Options;
use crate::wire::{AnyValue, LogRecord, Resource, Value, attribute, text};

/// Most bytes of a line; a longer line becomes several records.
const LONGEST: usize = 1 << 20;

/// The resource of a container: its properties under OpenTelemetry's names.
pub fn resource(info: &Info, options: &Options) -> Resource {
    let name = info.container_name.trim_start_matches('/');
    let mut attributes = vec![
        text("service.name", name),
        text("container.id", &info.container_id),
        text("container.name", name),
        text("container.image.name", &info.container_image_name),
        text("container.image.id", &info.container_image_id),
    ];
    let labels = info.container_labels.iter().filter(|(key, _)| options.labels.has(key));
    attributes.extend(labels.map(|(key, value)| text(format!("container.label.{key}"), value)));
    let variables = info.container_env.iter().filter_map(|variable| variable.split_once('='));
    let variables = variables.filter(|(key, _)| options.env.has(key));
    attributes
        .extend(variables.map(|(key, value)| text(format!("process.environment_variable.{key}"), value)));
    Resource { attributes }
}

/// Joins the parts of lines, for each stream separately.
#[derive(Debug, Default)]
pub struct Joiner {
    open: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    source: String,
    id: String,
    first: i64,
    line: Vec<u8>,
}

impl Joiner {
    /// Takes an entry. Returns the records that it completes.
    pub fn take(&mut self, entry: Entry) -> Vec<LogRecord> {
        let at = self.open.iter().position(|open| open.source == entry.source);
        let mut done = Vec::new();
        let Some(piece) = &entry.partial_log_metadata else {
            // Parts of a line whose last part has not arrived.
            done.extend(at.map(|at| self.open.swap_remove(at).record(true)));
            done.push(record(&entry.source, entry.time_nano, entry.line, false));
            return done;
        };
        let mut open = match at.map(|at| self.open.swap_remove(at)) {
            Some(open) if open.id == piece.id => open,
            other => {
                done.extend(other.map(|torn| torn.record(true)));
                let (source, id) = (entry.source.clone(), piece.id.clone());
                Open { source, id, first: entry.time_nano, line: Vec::new() }
            }
        };
        open.line.extend_from_slice(&entry.line);
        if piece.last {
            done.push(open.record(false));
        } else if open.line.len() >= LONGEST {
            let rest = Open {
                source: open.source.clone(),
                id: open.id.clone(),
                first: open.first,
                line: Vec::new(),
            };
            done.push(open.record(true));
            self.open.push(rest);
        } else {
            self.open.push(open);
        }
        done
    }

    /// The incomplete lines at the end of the log.
    pub fn end(&mut self) -> Vec<LogRecord> {
        self.open.drain(..).filter(|open| !open.line.is_empty()).map(|open| open.record(true)).collect()
    }
}

impl Open {
    fn record(self, torn: bool) -> LogRecord {
        record(&self.source, self.first, self.line, torn)
    }
}

fn record(source: &str, time: i64, line: Vec<u8>, torn: bool) -> LogRecord {
    let (severity_number, severity_text) = if source == "stderr" { (17, "ERROR") } else { (9, "INFO") };
    let body = match String::from_utf8(line) {
        Ok(text) => Value::Text(text),
        Err(bytes) => Value::Bytes(bytes.into_bytes()),
    };
    let mut attributes = vec![text("log.iostream", source)];
    if torn {
        attributes.push(attribute("log.partial", Value::Truth(true)));
    }
    LogRecord {
        time_unix_nano: u64::try_from(time).unwrap_or(0),
        severity_number,
        severity_text: severity_text.to_owned(),
        body: Some(AnyValue { value: Some(body) }),
        attributes,
        observed_time_unix_nano: now(),
    }
}

/// A record that tells the collector of lost records.
pub fn loss(count: u64) -> LogRecord {
    let lost = i64::try_from(count).unwrap_or(i64::MAX);
    let body = Value::Text(format!("{count} log records before this one were lost on the way"));
    LogRecord {
        time_unix_nano: now(),
        severity_number: 13,
        severity_text: "WARN".to_owned(),
        body: Some(AnyValue { value: Some(body) }),
        attributes: vec![attribute("log.lost", Value::Number(lost))],
        observed_time_unix_nano: now(),
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use gantry_plugin_sdk::log::Piece;

    use super::*;

    fn entry(source: &str, line: &str, piece: Option<(&str, i32, bool)>) -> Entry {
        let piece = piece.map(|(id, ordinal, last)| Piece { last, id: id.to_owned(), ordinal });
        Entry {
            source: source.to_owned(),
            time_nano: 5,
            line: line.into(),
            partial: piece.is_some(),
            partial_log_metadata: piece,
        }
    }

    fn told(records: Vec<LogRecord>) -> Vec<(String, i32, bool)> {
        let told = |record: LogRecord| {
            let torn = record.attributes.iter().any(|attribute| attribute.key == "log.partial");
            match record.body.and_then(|body| body.value) {
                Some(Value::Text(line)) => (line, record.severity_number, torn),
                other => panic!("{other:?}"),
            }
        };
        records.into_iter().map(told).collect()
    }

    #[test]
    fn pieces_of_both_streams_become_lines() {
        let mut joiner = Joiner::default();
        assert!(joiner.take(entry("stdout", "a", Some(("1", 1, false)))).is_empty());
        assert!(joiner.take(entry("stderr", "x", Some(("2", 1, false)))).is_empty());
        assert_eq!(
            told(joiner.take(entry("stdout", "b", Some(("1", 2, true))))),
            [("ab".to_owned(), 9, false)]
        );
        assert_eq!(
            told(joiner.take(entry("stderr", "whole", None))),
            [("x".to_owned(), 17, true), ("whole".to_owned(), 17, false)]
        );
        assert!(joiner.take(entry("stdout", "open", Some(("3", 1, false)))).is_empty());
        assert_eq!(told(joiner.end()), [("open".to_owned(), 9, true)]);
    }

    #[test]
    fn a_line_without_an_end_is_bounded() {
        let mut joiner = Joiner::default();
        let piece = "x".repeat(16 * 1024);
        let mut lines = 0;
        for ordinal in 1..=130 {
            lines += joiner.take(entry("stdout", &piece, Some(("1", ordinal, false)))).len();
        }
        assert_eq!((lines, joiner.end().len()), (2, 1));
    }
}
