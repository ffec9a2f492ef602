//! Times as Docker writes them: RFC 3339 in UTC with nanoseconds, without trailing zeros.

use std::time::{SystemTime, UNIX_EPOCH};

/// A time as text.
#[derive(Clone, Copy, Default)]
pub struct Stamp {
    text: [u8; 30],
    length: usize,
}

impl Stamp {
    /// The present time.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::at(since.as_secs(), since.subsec_nanos())
    }

    /// The time `seconds` and `nanos` after the epoch.
    pub fn at(seconds: u64, nanos: u32) -> Self {
        let (year, month, day) = civil(seconds / 86_400);
        let second = seconds % 86_400;
        let mut stamp = Self::default();
        stamp.number(year, 4, b'-');
        stamp.number(month, 2, b'-');
        stamp.number(day, 2, b'T');
        stamp.number(second / 3600, 2, b':');
        stamp.number(second / 60 % 60, 2, b':');
        stamp.number(second % 60, 2, b'.');
        stamp.number(u64::from(nanos), 9, b'0');
        while matches!(stamp.text[stamp.length - 1], b'0' | b'.') {
            stamp.length -= 1;
            // The zeros of the seconds stay.
            if stamp.text[stamp.length] == b'.' {
                break;
            }
        }
        stamp.push(b'Z');
        stamp
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }

    fn number(&mut self, mut number: u64, digits: usize, then: u8) {
        for place in (0..digits).rev() {
            self.text[self.length + place] = b'0' + (number % 10) as u8;
            number /= 10;
        }
        self.length += digits;
        self.push(then);
    }

    fn push(&mut self, byte: u8) {
        self.text[self.length] = byte;
        self.length += 1;
    }
}

/// Year, month and day of the day `days` after 1 January 1970. Counts in years that begin in March, so that the leap
/// day is the last day of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_as_go_writes_them() {
        let text =
            |seconds, nanos| String::from_utf8(Stamp::at(seconds, nanos).as_bytes().to_vec()).expect("ASCII");
        assert_eq!(text(0, 0), "1970-01-01T00:00:00Z");
        assert_eq!(text(951_782_400, 120_000_000), "2000-02-29T00:00:00.12Z");
        assert_eq!(text(1_795_297_872, 123_456_789), "2026-11-21T21:51:12.123456789Z");
        assert_eq!(text(1_795_297_810, 1), "2026-11-21T21:50:10.000000001Z");
    }
}
