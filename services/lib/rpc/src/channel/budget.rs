//! When a channel that found nobody listening tries again.
//!
//! A service that is started anew is away for some hundred milliseconds. A call that found nobody listening never reached
//! it, so the channel tries again, after a pause that grows and is never the same. What tries in vain may try less and
//! less: attempts come out of a bucket, which is filled when the peer is found.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// What the bucket holds.
const MOST: u32 = 12;
/// The most further attempts in a row.
const ATTEMPTS: u32 = 4;
/// The pause before the second attempt, in the middle; the next ones are twice as long each.
const PAUSE: Duration = Duration::from_millis(50);

/// What a channel may spend on further attempts.
#[derive(Debug)]
pub(super) struct Budget {
    most: u32,
    left: AtomicU32,
}

impl Budget {
    /// A channel tries once.
    pub(super) fn none() -> Self {
        Self { most: 0, left: AtomicU32::new(0) }
    }

    /// A channel tries a few times.
    pub(super) fn full() -> Self {
        Self { most: MOST, left: AtomicU32::new(MOST) }
    }

    /// The peer is there.
    pub(super) fn refill(&self) {
        self.left.store(self.most, Ordering::Relaxed);
    }

    /// How long to wait before trying again after so many attempts in a row, if at all.
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
