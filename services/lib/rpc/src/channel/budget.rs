//! When a channel connects again after no process has listened.
//!
//! A service that is restarted is down for some hundred milliseconds. A call that found no listener never reached the
//! service, so the channel connects again, after a pause that grows and is random. The attempts come from a budget,
//! which is refilled when the peer is found, so that a channel without success tries less and less.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The size of the budget.
const MOST: u32 = 12;
/// The most further attempts in a row.
const ATTEMPTS: u32 = 4;
/// The mean pause before the second attempt; each following one is twice as long.
const PAUSE: Duration = Duration::from_millis(50);

/// The budget of a channel for further attempts.
#[derive(Debug)]
pub(super) struct Budget {
    most: u32,
    left: AtomicU32,
}

impl Budget {
    /// A channel that tries once.
    pub(super) fn none() -> Self {
        Self { most: 0, left: AtomicU32::new(0) }
    }

    /// A channel that tries a few times.
    pub(super) fn full() -> Self {
        Self { most: MOST, left: AtomicU32::new(MOST) }
    }

    /// Refills the budget, because the peer was found.
    pub(super) fn refill(&self) {
        self.left.store(self.most, Ordering::Relaxed);
    }

    /// How long to wait before another attempt, after this many in a row; `None`: no further attempt.
    pub(super) fn spend(&self, attempts: u32) -> Option<Duration> {
        if attempts > ATTEMPTS {
            return None;
        }
        let taken = |left: u32| left.checked_sub(1);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).ok()?;
        Some((PAUSE * (1 << (attempts - 1))).mul_f64(rand::random_range(0.5..1.5)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_differ_and_end() {
        let pauses = || {
            let budget = Budget::full();
            (1..).map_while(|attempts| budget.spend(attempts)).collect::<Vec<_>>()
        };
        let (one, other) = (pauses(), pauses());
        assert_eq!(one.len(), ATTEMPTS as usize);
        assert_ne!(one, other, "jitter");
        for (pause, middle) in one.iter().zip([50, 100, 200, 400]) {
            let middle = Duration::from_millis(middle);
            assert!((middle / 2..middle * 3 / 2).contains(pause), "{pause:?} around {middle:?}");
        }
    }

    #[test]
    fn who_never_reaches_a_peer_stops_trying_until_somebody_does() {
        let budget = Budget::full();
        let spent = (0..100).filter(|_| budget.spend(1).is_some()).count();
        assert_eq!(spent, MOST as usize);
        budget.refill();
        let spent = (0..100).filter(|_| budget.spend(1).is_some()).count();
        assert_eq!(spent, MOST as usize, "no more than it holds");
        assert!(Budget::none().spend(1).is_none());
    }
}
