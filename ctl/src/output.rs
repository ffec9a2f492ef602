//! Prints what people and scripts read: tables, JSON, errors.

pub mod listing;

use std::fmt::{self, Display};
use std::io::{self, Write};

use anyhow::Error;
use serde::Serialize;

/// The reader of standard output is gone, as after `head`: the program ends silently.
#[derive(Debug)]
pub struct Closed;

impl Closed {
    /// The exit code of a program that SIGPIPE has ended, as a shell shows it.
    pub const CODE: u8 = 141;
}

impl Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output is closed")
    }
}

impl std::error::Error for Closed {}

/// Prints bytes as they are.
pub fn write(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Closed.into()),
        Err(error) => Err(Error::new(error).context("write to standard output")),
        Ok(()) => Ok(()),
    }
}

/// Prints a line.
pub fn line(text: impl Display) -> anyhow::Result<()> {
    write(format!("{text}\n").as_bytes())
}

/// How to print a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Table,
    Json,
}

/// An error and its causes in one line; a status by its message alone, or by its code if it has none.
pub fn explain(error: &Error) -> String {
    let status = error.chain().find_map(|cause| cause.downcast_ref::<tonic::Status>());
    let text = match status {
        Some(status) if status.message().is_empty() => status.code().to_string(),
        Some(status) => status.message().to_owned(),
        None => gantry_rpc::chain(error.as_ref()),
    };
    one_line(&text)
}

/// A text without line ends.
pub fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Prints a message on standard error. Standard error may be closed.
pub fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "gantry: {text}");
}

/// Prints a value as JSON, in one line.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string(value)?)
}

/// Prints values as JSON, one a line.
pub fn json_lines(values: &[impl Serialize]) -> anyhow::Result<()> {
    values.iter().try_for_each(json)
}

/// Prints a value as JSON for people.
pub fn pretty(value: &impl Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string_pretty(value)?)
}

/// Prints rows under a header, each column as wide as its widest cell.
pub fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> anyhow::Result<()> {
    let header = header.map(str::to_owned);
    let all: Vec<Vec<String>> = std::iter::once(&header).chain(rows).map(|row| row.to_vec()).collect();
    write(columns(&all).as_bytes())
}

/// Rows as text, each column as wide as its widest cell.
pub fn columns(rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let line: String =
            row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}   ")).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Bytes for people: `12.3MB`, in powers of ten as Docker prints them.
pub fn bytes(count: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit < units.len() - 1 {
        value /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{count}B"),
        _ if value < 10.0 => format!("{value:.2}{}", units[unit]),
        _ if value < 100.0 => format!("{value:.1}{}", units[unit]),
        _ => format!("{value:.0}{}", units[unit]),
    }
}

/// A duration for people: `42s`, `3m`, `5h`, `2d`.
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

/// The same in powers of two: `12.3MiB`.
pub fn binary_bytes(count: u64) -> String {
    let (mut value, mut unit) = (count as f64, 0);
    while value >= 1024.0 && unit < 5 {
        value /= 1024.0;
        unit += 1;
    }
    let unit = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"][unit];
    let text = format!("{value:.3}");
    // Four digits at most, as Docker prints them.
    let text = text.get(..5).unwrap_or(&text).trim_end_matches('0').trim_end_matches('.');
    format!("{text}{unit}")
}

/// A point in time for programs; `None` for one that has not come.
pub fn time(time: Option<&prost_types::Timestamp>) -> Option<String> {
    time.filter(|time| time.seconds != 0 || time.nanos != 0)
        .map(|time| gantry_docker::moment::rfc3339_nano(Some(time)))
}

/// How long ago a time was.
pub fn ago(time: Option<&prost_types::Timestamp>) -> String {
    let Some(time) = time else {
        return String::new();
    };
    let now = gantry_docker::moment::now();
    format!("{} ago", gantry_docker::moment::in_words(now.seconds - time.seconds))
}

/// The first letters of a longer text.
pub fn shorten(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    text.chars().take(letters - 1).chain(['…']).collect()
}

/// A random name, shortened.
pub fn short_name(name: &str) -> &str {
    let made_up = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if made_up { short(name) } else { name }
}

/// Labels and the like, in the order of their keys.
pub fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a String, &'a String)>) -> String {
    let mut pairs: Vec<_> = pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.sort();
    pairs.join(",")
}

/// Asks before something is removed. Without a terminal, the answer is no.
pub fn confirm(warning: &str) -> anyhow::Result<bool> {
    let mut error = io::stderr();
    let _ = write!(error, "{warning}\nGo on? [y/N] ");
    let _ = error.flush();
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// The first twelve digits of an id.
pub fn short(id: &str) -> &str {
    let digits = id.strip_prefix("sha256:").unwrap_or(id);
    digits.get(..12).unwrap_or(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_three_digits() {
        assert_eq!(bytes(999), "999B");
        assert_eq!(bytes(1_500), "1.50kB");
        assert_eq!(bytes(12_345_678), "12.3MB");
        assert_eq!(bytes(123_456_789_000), "123GB");
    }

    #[test]
    fn binary_bytes_have_four_digits() {
        let rows = [(0, "0B"), (1023, "1023B"), (1536, "1.5KiB"), (12_902_400, "12.3MiB"), (1 << 30, "1GiB")];
        for (count, text) in rows {
            assert_eq!(binary_bytes(count), text);
        }
    }

    #[test]
    fn a_short_id_has_no_algorithm() {
        assert_eq!(short("sha256:0123456789abcdef"), "0123456789ab");
        assert_eq!(short("abc"), "abc");
    }
}
