//! Points in time as nanoseconds since 1970, the form in which Docker compares and prints them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The present time.
pub fn now() -> i64 {
    nanoseconds(SystemTime::now())
}

/// A system time; times before 1970 count as 1970.
pub fn nanoseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// The time since a point; zero for one in the future.
pub fn elapsed(since: i64) -> Duration {
    Duration::from_nanos(u64::try_from(now() - since).unwrap_or(0))
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
}
