//! Points in time, as Docker's filters name them and images' configs state them.

use std::time::{Duration, SystemTime};

use chrono::DateTime;
use gantry_docker::moment;

/// Reads a moment as Docker's clients write it; none when it is not understood, or before 1970.
pub fn parse(text: &str, now: SystemTime) -> Option<SystemTime> {
    let at = moment::parse(text, &now.into()).ok()??;
    let since = Duration::new(u64::try_from(at.seconds).ok()?, u32::try_from(at.nanos).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(since)
}

/// RFC 3339 out of an image's config; none when it is absent or odd.
pub fn created(text: Option<&str>) -> Option<SystemTime> {
    Some(DateTime::parse_from_rfc3339(text?).ok()?.into())
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
