//! Points in time as Docker's filters name them: RFC 3339 (also its beginning), seconds since 1970, or a duration
//! before now in Go's notation.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, NaiveDate, NaiveDateTime};

/// Reads a moment; none when it is not understood.
pub fn parse(text: &str, now: SystemTime) -> Option<SystemTime> {
    if let Some(past) = duration(text) {
        return now.checked_sub(past);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?);
    }
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(moment.into());
    }
    let text = text.trim_end_matches('Z');
    let naive = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))?;
    Some(naive.and_utc().into())
}

/// RFC 3339 out of an image's config; none when it is absent or odd.
pub fn created(text: Option<&str>) -> Option<SystemTime> {
    Some(DateTime::parse_from_rfc3339(text?).ok()?.into())
}

/// Go's durations: `1h30m`, `2.5s`, `100ms`.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number * unit).ok()?)?;
        rest = &rest[end..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_in_all_notations() {
        let epoch = SystemTime::UNIX_EPOCH;
        let now = epoch + Duration::from_secs(1_000_000);
        for (text, seconds) in [
            ("1970-01-02T00:00:00Z", 86_400),
            ("1970-01-02", 86_400),
            ("1970-01-01T01:00", 3_600),
            ("12", 12),
            ("1h30m", 1_000_000 - 5_400),
        ] {
            assert_eq!(parse(text, now), Some(epoch + Duration::from_secs(seconds)), "{text}");
        }
        for odd in ["", "yesterday", "1x", "h", "-1"] {
            assert_eq!(parse(odd, now), None, "{odd}");
        }
    }
}
