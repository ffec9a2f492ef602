//! Points in time as nanoseconds since 1970, the form in which Docker compares and prints them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Now.
pub fn now() -> i64 {
    nanoseconds(SystemTime::now())
}

/// A system time; what lies before 1970 counts as 1970.
pub fn nanoseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// How long ago a point was; zero for the future.
pub fn elapsed(since: i64) -> Duration {
    Duration::from_nanos(u64::try_from(now() - since).unwrap_or(0))
}

/// Protobuf's form; `None` for "never".
pub fn timestamp(nanoseconds: i64) -> Option<prost_types::Timestamp> {
    (nanoseconds != 0).then(|| prost_types::Timestamp {
        seconds: nanoseconds.div_euclid(1_000_000_000),
        nanos: i32::try_from(nanoseconds.rem_euclid(1_000_000_000)).unwrap_or(0),
    })
}

/// From protobuf's form; 0 for "never".
pub fn from_timestamp(time: Option<&prost_types::Timestamp>) -> i64 {
    time.map_or(0, |time| time.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(time.nanos)))
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

#[cfg(test)]
mod tests {
    use super::*;

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
        }
    }

    #[test]
    fn timestamps_go_there_and_back() {
        let now = now();
        assert_eq!(from_timestamp(timestamp(now).as_ref()), now);
        assert_eq!(timestamp(0), None);
    }
}
