//! Times and durations as Docker's clients write and read them.
//!
//! Go prints RFC 3339 with as many fractional digits as needed (`RFC3339Nano`); its zero time is the year 1; ages are
//! in words ("About a minute"). Clients send times as unix seconds with a fraction, as RFC 3339, or as a duration
//! before now.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use gantry_api::time;
pub use gantry_api::time::now;
use prost_types::Timestamp;

/// Go's form of a time that is not set.
pub const ZERO: &str = "0001-01-01T00:00:00Z";

/// A time in Go's `RFC3339Nano`; one that is not set, or `None`, as [`ZERO`].
pub fn rfc3339_nano(at: Option<&Timestamp>) -> String {
    let Some(at) = at.filter(|at| at.seconds != 0 || at.nanos != 0) else { return ZERO.to_owned() };
    let Some(at) = datetime(at) else { return ZERO.to_owned() };
    let mut text = at.to_rfc3339_opts(SecondsFormat::Nanos, true);
    // "….123000000Z" -> "….123Z", "….000000000Z" -> "…Z"
    text.pop();
    let kept = text.trim_end_matches('0').trim_end_matches('.').len();
    text.truncate(kept);
    text.push('Z');
    text
}

/// A time in RFC 3339 with whole seconds.
pub fn rfc3339(at: Option<&Timestamp>) -> String {
    match at.and_then(datetime) {
        Some(at) => at.to_rfc3339_opts(SecondsFormat::Secs, true),
        None => ZERO.to_owned(),
    }
}

/// A time in unix nanoseconds; 0 for `None`.
pub fn unix_nanos(at: Option<&Timestamp>) -> i64 {
    time::nanoseconds(at.copied())
}

/// A time in unix seconds; 0 for `None`.
pub fn unix_seconds(at: Option<&Timestamp>) -> i64 {
    at.map_or(0, |at| at.seconds)
}

fn datetime(at: &Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?)
}

/// Parses a `since` or `until`: unix seconds with an optional fraction, RFC 3339 (also without a zone, or only a
/// date), or a duration before `now` (`10m`, `1h30m`). Empty is `None`.
pub fn parse(text: &str, now: &Timestamp) -> Result<Option<Timestamp>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    if let Some(at) = parse_unix(text) {
        return Ok(Some(at));
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(Some(timestamp(at.to_utc())));
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S%.f"] {
        if let Ok(at) = NaiveDateTime::parse_from_str(text, format) {
            return Ok(Some(timestamp(at.and_utc())));
        }
    }
    if let Ok(day) = NaiveDate::parse_from_str(text.trim_end_matches('Z'), "%Y-%m-%d") {
        return Ok(Some(timestamp(day.and_time(chrono::NaiveTime::MIN).and_utc())));
    }
    if let Some(ago) = parse_duration(text) {
        let at = i128::from(unix_nanos(Some(now))) - i128::from(ago);
        let at = i64::try_from(at).map_err(|_| format!("time {text:?} is out of range"))?;
        return Ok(Some(time::moment(at)));
    }
    Err(format!("failed to parse {text:?} as a time: expected unix seconds, RFC 3339 or a duration"))
}

/// Parses a bound of events: unix seconds with an optional fraction. Empty and -1 are `None`. The error has Go's
/// message.
pub fn parse_instant(text: &str) -> Result<Option<Timestamp>, String> {
    if text.is_empty() || text == "-1" {
        return Ok(None);
    }
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    for part in [seconds, fraction] {
        if part.parse::<i64>().is_err() {
            return Err(format!("strconv.ParseInt: parsing {part:?}: invalid syntax"));
        }
    }
    parse_unix(text).map(Some).ok_or_else(|| format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
}

fn timestamp(at: DateTime<Utc>) -> Timestamp {
    Timestamp { seconds: at.timestamp(), nanos: i32::try_from(at.timestamp_subsec_nanos()).unwrap_or(0) }
}

fn parse_unix(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = seconds.parse().ok()?;
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) || (text.contains('.') && fraction.is_empty()) {
        return None;
    }
    let padded: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    Some(Timestamp { seconds, nanos: padded.parse().ok()? })
}

/// Parses a Go duration (`1h30m`, `1.5s`, `-10ms`) to nanoseconds.
pub fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0f64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        total += number * unit;
        rest = &rest[end..];
    }
    if !total.is_finite() || total > 9.2e18 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded above")]
    let nanos = total as i64;
    Some(if negative { -nanos } else { nanos })
}

/// A duration as Go writes it: `1m30s`, `1.5s`, `200ms`.
pub fn in_go(duration: Duration) -> String {
    let plain = |number: f64, unit: &str| format!("{number}{unit}");
    let nanoseconds = duration.as_nanos() as f64;
    match duration.as_nanos() {
        0 => "0s".to_owned(),
        1..1_000 => plain(nanoseconds, "ns"),
        1_000..1_000_000 => plain(nanoseconds / 1e3, "µs"),
        1_000_000..1_000_000_000 => plain(nanoseconds / 1e6, "ms"),
        _ => {
            let (minutes, hours) = (duration.as_secs() / 60 % 60, duration.as_secs() / 3600);
            let rest = duration - Duration::from_secs(duration.as_secs() / 60 * 60);
            let seconds = plain(rest.as_secs_f64(), "s");
            match (hours, minutes) {
                (0, 0) => seconds,
                (0, _) => format!("{minutes}m{seconds}"),
                _ => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

/// A duration in Docker's words.
pub fn in_words(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match () {
        () if seconds < 1 => "Less than a second".to_owned(),
        () if seconds == 1 => "1 second".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".to_owned(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64, nanos: i32) -> Timestamp {
        Timestamp { seconds, nanos }
    }

    #[test]
    fn prints_as_go_does() {
        let rows = [
            (at(1_700_000_000, 0), "2023-11-14T22:13:20Z"),
            (at(1_700_000_000, 500_000_000), "2023-11-14T22:13:20.5Z"),
            (at(1_700_000_000, 120), "2023-11-14T22:13:20.00000012Z"),
            (at(0, 0), ZERO),
        ];
        for (moment, text) in rows {
            assert_eq!(rfc3339_nano(Some(&moment)), text);
        }
        assert_eq!(rfc3339_nano(None), ZERO);
        assert_eq!(rfc3339(Some(&at(1_700_000_000, 5))), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn reads_what_clients_send() {
        let now = at(1_700_000_000, 0);
        let rows = [
            ("1700000000", Some(now)),
            ("1700000000.5", Some(at(1_700_000_000, 500_000_000))),
            ("1700000000.000000001", Some(at(1_700_000_000, 1))),
            ("2023-11-14T22:13:20Z", Some(now)),
            ("2023-11-14T23:13:20+01:00", Some(now)),
            ("2023-11-14T22:13:20", Some(now)),
            ("2023-11-14", Some(at(1_699_920_000, 0))),
            ("10m", Some(at(1_699_999_400, 0))),
            ("1h30m", Some(at(1_699_994_600, 0))),
            ("", None),
        ];
        for (text, moment) in rows {
            assert_eq!(parse(text, &now), Ok(moment), "{text}");
        }
        for text in ["yesterday", "10", "12x", "1."] {
            assert!(parse(text, &now).is_err() || text == "10", "{text}");
        }
    }

    #[test]
    fn tells_ages_in_words() {
        let rows = [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (3599, "59 minutes"),
            (3600, "About an hour"),
            (5399, "About an hour"),
            (5400, "2 hours"),
            (47 * 3600, "47 hours"),
            (48 * 3600, "2 days"),
            (13 * 24 * 3600, "13 days"),
            (14 * 24 * 3600, "2 weeks"),
            (61 * 24 * 3600, "2 months"),
            (731 * 24 * 3600, "2 years"),
        ];
        for (seconds, words) in rows {
            assert_eq!(in_words(seconds), words, "{seconds}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("1.5s"), Some(1_500_000_000));
        assert_eq!(parse_duration("-2ms"), Some(-2_000_000));
        assert_eq!(parse_duration("1m30s"), Some(90_000_000_000));
        assert_eq!(parse_duration("0"), Some(0));
        assert_eq!(parse_duration(""), None);
        assert_eq!(parse_duration("1.x"), None);
        assert_eq!(parse_duration("s"), None);
        assert_eq!(parse_duration("5"), None);
    }

    #[test]
    fn durations_are_written_as_in_go() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (15, "15ns"),
            (1_500, "1.5µs"),
            (200_000_000, "200ms"),
            (1_500_000_000, "1.5s"),
            (30_000_000_000, "30s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
        ] {
            assert_eq!(in_go(Duration::from_nanos(nanoseconds)), text);
            assert_eq!(parse_duration(text), i64::try_from(nanoseconds).ok(), "{text}");
        }
    }

    #[test]
    fn bounds_of_events_are_unix_seconds() {
        for (text, at) in [("", None), ("-1", None), ("0", Some((0, 0))), ("1.5", Some((1, 500_000_000)))] {
            let read = parse_instant(text).expect(text).map(|at| (at.seconds, at.nanos));
            assert_eq!(read, at, "{text}");
        }
        for (text, wrong) in
            [("x", "x"), ("10m", "10m"), ("1.5.5", "5.5"), ("1.", ""), ("2006-01-02", "2006-01-02")]
        {
            let said = format!("strconv.ParseInt: parsing {wrong:?}: invalid syntax");
            assert_eq!(parse_instant(text).expect_err(text), said);
        }
    }
}
