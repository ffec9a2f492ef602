//! What people and scripts read: tables, JSON, errors.

use std::fmt::{self, Display};
use std::io::{self, Write};

use anyhow::Error;
use serde::Serialize;

/// Whoever read standard output has left, as `head` does: the program ends, and says nothing of it.
#[derive(Debug)]
pub struct Closed;

impl Closed {
    /// What a shell shows of a program that SIGPIPE has ended.
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

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Table,
    Json,
}

/// An error and its causes in one line; a status by its message alone, or by its code if it has none.
pub fn explain(error: &Error) -> String {
    gantry_rpc::chain(match error.downcast_ref::<tonic::Status>() {
        Some(status) if status.message().is_empty() => return status.code().to_string(),
        Some(status) => return status.message().to_owned(),
        None => error.as_ref(),
    })
}

/// Tells of something on standard error. Nobody has to hear it.
pub fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "gantry: {text}");
}

/// Prints a value as JSON.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string_pretty(value)?)
}

/// Prints rows under a header, each column as wide as its widest cell.
pub fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> anyhow::Result<()> {
    let mut widths = header.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let mut add = |cells: [&str; N]| {
        let line: String =
            cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}   ")).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    };
    add(header);
    for row in rows {
        add(std::array::from_fn(|index| row[index].as_str()));
    }
    write(text.as_bytes())
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

/// How long ago a time was.
pub fn ago(time: Option<&prost_types::Timestamp>) -> String {
    let Some(time) = time else {
        return String::new();
    };
    let elapsed = gantry_api::time::system_time(time).elapsed().unwrap_or_default();
    format!("{} ago", duration(elapsed.as_secs()))
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
    fn a_short_id_has_no_algorithm() {
        assert_eq!(short("sha256:0123456789abcdef"), "0123456789ab");
        assert_eq!(short("abc"), "abc");
    }
}
