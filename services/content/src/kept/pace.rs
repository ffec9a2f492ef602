//! How long a store may take: for a step, and for all of a transfer.

use std::time::Duration;

/// Bytes a second that a store hashes and syncs at least, when it begins a resumed upload or commits.
const WORK: u64 = 32 << 20;
/// Bytes a second that must move on average.
const TRANSFER: u64 = 1 << 20;
/// How many steps a transfer of no bytes may take.
const STEPS: u32 = 6;

/// The pace of a store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    idle: Duration,
}

impl Pace {
    pub(super) fn new(idle: Duration) -> Self {
        Self { idle }
    }

    /// For a step that moves a piece, or answers a question.
    pub(super) fn step(self) -> Duration {
        self.idle
    }

    /// For a step in which the store works on so many bytes.
    pub(super) fn work(self, bytes: u64) -> Duration {
        self.idle.saturating_add(Duration::from_secs(bytes / WORK))
    }

    /// For the whole transfer of so many bytes: a store that sends one byte before each step's end does not go on for
    /// ever.
    pub(super) fn whole(self, bytes: u64) -> Duration {
        self.idle.saturating_mul(STEPS).saturating_add(Duration::from_secs(bytes / TRANSFER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_bytes_have_more_time() {
        let pace = Pace::new(Duration::from_secs(10));
        assert_eq!(pace.step(), Duration::from_secs(10));
        assert_eq!(pace.work(0), pace.step());
        assert_eq!(pace.work(64 << 30), Duration::from_secs(10 + 2048));
        assert_eq!(pace.whole(0), Duration::from_secs(60));
        assert_eq!(pace.whole(100 << 20), Duration::from_secs(160));
        assert!(Pace::new(Duration::MAX).whole(u64::MAX) == Duration::MAX);
    }
}
