//! Values with units: `"30s"`, `"512MiB"`.

use std::str::FromStr;

use serde::Deserialize;

/// A span of time: a whole number of `ms`, `s`, `m`, `h` or `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Duration(std::time::Duration);

/// A number of bytes: a whole number of `B`, `KiB`, `MiB`, `GiB` or `TiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Size(u64);

/// The text is not a number with a unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a whole number with one of the units {units}")]
pub struct Invalid {
    text: String,
    units: &'static str,
}

impl Duration {
    /// This many seconds.
    pub const fn seconds(count: u64) -> Self {
        Self(std::time::Duration::from_secs(count))
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl From<Size> for u64 {
    fn from(size: Size) -> Self {
        size.0
    }
}

impl FromStr for Duration {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
        scaled(text, &units)
            .map(|millis| Self(std::time::Duration::from_millis(millis)))
            .ok_or_else(|| Invalid { text: text.to_owned(), units: "ms, s, m, h, d" })
    }
}

impl FromStr for Size {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let units = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];
        scaled(text, &units)
            .map(Self)
            .ok_or_else(|| Invalid { text: text.to_owned(), units: "B, KiB, MiB, GiB, TiB" })
    }
}

impl TryFrom<String> for Duration {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl TryFrom<String> for Size {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_needs_its_unit() {
        assert_eq!("90s".parse(), Ok(Duration::seconds(90)));
        assert_eq!("2 m".parse(), Ok(Duration::seconds(120)));
        assert_eq!("512MiB".parse(), Ok(Size(512 << 20)));
        for text in ["", "5", "s", "-1s", "1.5s", "1 week", "99999999999999999999s"] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
        assert!("1MB".parse::<Size>().is_err());
    }
}
