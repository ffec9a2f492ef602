//! What people and scripts read: tables, JSON, errors.

use anyhow::Error;
use serde::Serialize;

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Table,
    Json,
}

/// An error and its causes in one line; a status by its message alone.
pub fn explain(error: &Error) -> String {
    gantry_rpc::chain(match error.downcast_ref::<tonic::Status>() {
        Some(status) => return status.message().to_owned(),
        None => error.as_ref(),
    })
}

/// Prints a value as JSON.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Prints rows under a header, each column as wide as its widest cell.
pub fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) {
    let mut widths = header.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let print = |cells: [&str; N]| {
        let line: String =
            cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}   ")).collect();
        println!("{}", line.trim_end());
    };
    print(header);
    for row in rows {
        print(std::array::from_fn(|index| row[index].as_str()));
    }
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
