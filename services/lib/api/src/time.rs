//! Protobuf timestamps and the system's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost_types::Timestamp;

/// Now.
pub fn now() -> Timestamp {
    SystemTime::now().into()
}

/// Nanoseconds since 1970 as messages have them; 0 is never.
pub fn timestamp(nanoseconds: i64) -> Option<Timestamp> {
    (nanoseconds != 0).then(|| moment(nanoseconds))
}

/// Nanoseconds since 1970, where 1970 is a time as any other.
pub fn moment(nanoseconds: i64) -> Timestamp {
    Timestamp {
        seconds: nanoseconds.div_euclid(1_000_000_000),
        nanos: i32::try_from(nanoseconds.rem_euclid(1_000_000_000)).unwrap_or(0),
    }
}

/// The reverse; 0 for never.
pub fn nanoseconds(timestamp: Option<Timestamp>) -> i64 {
    timestamp.map_or(0, |at| at.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(at.nanos)))
}

/// The time of a timestamp; the epoch for one before it.
pub fn system_time(timestamp: &Timestamp) -> SystemTime {
    let seconds = u64::try_from(timestamp.seconds).unwrap_or(0);
    let nanos = u32::try_from(timestamp.nanos).unwrap_or(0);
    UNIX_EPOCH + Duration::new(seconds, nanos)
}
