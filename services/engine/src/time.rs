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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_go_there_and_back() {
        let now = now();
        assert_eq!(from_timestamp(timestamp(now).as_ref()), now);
        assert_eq!(timestamp(0), None);
    }
}
