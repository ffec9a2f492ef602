//! Protobuf timestamps and the system's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost_types::Timestamp;

/// The present time.
pub fn now() -> Timestamp {
    SystemTime::now().into()
}

/// Nanoseconds since 1970 as a timestamp; `None` for 0, which stands for never.
pub fn timestamp(nanoseconds: i64) -> Option<Timestamp> {
    (nanoseconds != 0).then(|| moment(nanoseconds))
}

/// Nanoseconds since 1970 as a timestamp, 0 included.
pub fn moment(nanoseconds: i64) -> Timestamp {
    Timestamp {
        seconds: nanoseconds.div_euclid(1_000_000_000),
        nanos: i32::try_from(nanoseconds.rem_euclid(1_000_000_000)).unwrap_or(0),
    }
}

/// A timestamp as nanoseconds since 1970; 0 for never.
pub fn nanoseconds(timestamp: Option<Timestamp>) -> i64 {
    timestamp.map_or(0, |at| at.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(at.nanos)))
}

/// The time of a timestamp; the epoch for an earlier one.
pub fn system_time(timestamp: &Timestamp) -> SystemTime {
    let seconds = u64::try_from(timestamp.seconds).unwrap_or(0);
    let nanos = u32::try_from(timestamp.nanos).unwrap_or(0);
    UNIX_EPOCH + Duration::new(seconds, nanos)
}
