//! How often and when a request is sent again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rand::Rng;

/// How many failures an operation (a blob, or all small requests together) may still have.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    left: Arc<AtomicU32>,
    full: u32,
}

impl Budget {
    pub(crate) fn new(full: u32) -> Self {
        Self { left: Arc::new(AtomicU32::new(full)), full }
    }

    /// Takes `cost` from the budget; false when the budget is used up.
    pub(crate) fn take(&self, cost: u32) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(cost)).is_ok()
    }

    /// Returns one to the budget for real progress.
    pub(crate) fn refill(&self) {
        let full = self.full;
        let _ = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| (left < full).then_some(left + 1));
    }
}

/// The pause before attempt `attempt` (from 1): doubles from 100 ms to 5 s; up to half of it is random.
pub(crate) fn pause(attempt: u32) -> Duration {
    let whole = Duration::from_millis(100)
        .saturating_mul(1 << attempt.saturating_sub(1).min(6))
        .min(Duration::from_secs(5));
    whole.mul_f64(rand::rng().random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_ends_and_is_refilled_only_to_its_brim() {
        let budget = Budget::new(2);
        budget.refill();
        assert!(budget.take(1) && budget.take(1) && !budget.take(1));
        budget.refill();
        assert!(!budget.take(3) && budget.take(1));
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        assert!(pause(1) <= Duration::from_millis(100));
        assert!(pause(40) <= Duration::from_secs(5) && pause(40) >= Duration::from_millis(2500));
    }
}
