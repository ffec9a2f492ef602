//! When a call that could not reach its peer is made again.
//!
//! A service that is started anew is away for some hundred milliseconds. A call that found nobody listening never reached
//! it; where it may be made twice in any case, it tries again, after a pause that grows and is never the same. What tries in
//! vain may try less and less: attempts come out of a bucket, which is filled by calls that reach their peer.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// What the bucket holds, in attempts.
const MOST: u32 = 12;
/// What an attempt takes; a call that reaches its peer gives one back.
const ATTEMPT: u32 = 10;
/// The most attempts of one call.
const ATTEMPTS: u32 = 4;
/// The pause before the second attempt, in the middle; the next ones are twice as long each.
const PAUSE: Duration = Duration::from_millis(50);

/// What a channel may spend on further attempts.
#[derive(Debug)]
pub(super) struct Budget(AtomicU32);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU32::new(MOST * ATTEMPT))
    }
}

impl Budget {
    /// A call has reached its peer.
    pub(super) fn earn(&self) {
        // Most calls find it full.
        if self.0.load(Ordering::Relaxed) < MOST * ATTEMPT {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How long to wait before a call that was made so many times is made again, if it is.
    pub(super) fn spend(&self, attempts: u32) -> Option<Duration> {
        if attempts > ATTEMPTS {
            return None;
        }
        let taken = |left: u32| left.checked_sub(ATTEMPT);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).ok()?;
        Some((PAUSE * (1 << (attempts - 1))).mul_f64(rand::random_range(0.5..1.5)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_differ_and_end() {
        let pauses = || {
            let budget = Budget::default();
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
        let budget = Budget::default();
        let spent = (0..100).filter(|_| budget.spend(1).is_some()).count();
        assert_eq!(spent, MOST as usize);
        (0..ATTEMPT).for_each(|_| budget.earn());
        assert!(budget.spend(1).is_some());
        assert!(budget.spend(1).is_none());
        (0..1000).for_each(|_| budget.earn());
        let spent = (0..100).filter(|_| budget.spend(1).is_some()).count();
        assert_eq!(spent, MOST as usize, "no more than it holds");
    }
}
