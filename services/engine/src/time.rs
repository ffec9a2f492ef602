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
