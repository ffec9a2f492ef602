//! Restart policies: whether a container that ended is started again, and after how long.
//!
//! The delay doubles from 100 ms up to one minute, and returns to 100 ms after a run of ten seconds. A container that
//! the user stopped is not restarted until the user starts it; at boot, `always` starts it anyway.

use std::time::Duration;

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// A run of this length counts as a success: the delay returns to its first value.
const STEADY: Duration = Duration::from_secs(10);

/// When a container is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Policy {
    /// Never.
    #[default]
    No,
    /// Whenever it ends, and at boot even when it was stopped by hand.
    Always,
    /// Whenever it ends, but not at boot if it was stopped by hand.
    UnlessStopped,
    /// When it ends with a status other than 0, at most this many times (0: without limit).
    OnFailure(u32),
}

/// Why a policy is invalid.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PolicyError {
    /// The name is no policy.
    #[error(
        "invalid restart policy: unknown policy '{0}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
    )]
    Unknown(String),
    /// A count for a policy that takes none.
    #[error("invalid restart policy: maximum retry count can only be used with 'on-failure'")]
    CountWithoutFailure,
    /// A negative count for a policy that takes none.
    #[error(
        "invalid restart policy: maximum retry count can only be used with 'on-failure' and cannot be negative"
    )]
    NegativeCountWithoutFailure,
    /// A negative count.
    #[error("invalid restart policy: maximum retry count cannot be negative")]
    NegativeCount,
}

impl Policy {
    /// Reads Docker's pair of policy name and maximum retry count.
    pub fn parse(name: &str, maximum_retries: i32) -> Result<Policy, PolicyError> {
        match (maximum_retries, name) {
            (..0, "on-failure") => return Err(PolicyError::NegativeCount),
            (..0, _) => return Err(PolicyError::NegativeCountWithoutFailure),
            (0, _) | (_, "on-failure") => {}
            _ => return Err(PolicyError::CountWithoutFailure),
        }
        match name {
            "" | "no" => Ok(Policy::No),
            "always" => Ok(Policy::Always),
            "unless-stopped" => Ok(Policy::UnlessStopped),
            "on-failure" => Ok(Policy::OnFailure(maximum_retries.unsigned_abs())),
            other => Err(PolicyError::Unknown(other.to_owned())),
        }
    }

    /// Whether to start the container again after its end. `restarts` is the number of automatic starts so far.
    pub fn after_exit(self, exit_code: i32, restarts: u32, stopped_by_hand: bool) -> bool {
        if stopped_by_hand {
            return false;
        }
        match self {
            Policy::No => false,
            Policy::Always | Policy::UnlessStopped => true,
            Policy::OnFailure(maximum) => exit_code != 0 && (maximum == 0 || restarts < maximum),
        }
    }

    /// Whether to start a container that has run before when the machine or the service starts. A container that has
    /// used up its retries is not started.
    pub fn at_boot(self, exit_code: i32, restarts: u32, stopped_by_hand: bool) -> bool {
        match self {
            Policy::No => false,
            Policy::Always => true,
            Policy::UnlessStopped => !stopped_by_hand,
            Policy::OnFailure(_) => self.after_exit(exit_code, restarts, stopped_by_hand),
        }
    }
}

/// The growing delay of one container.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// The delay before the next start, after a run of the given length.
    pub fn next(&mut self, run: Duration) -> Duration {
        let delay = match self.last {
            Some(last) if run < STEADY => (last * 2).min(LONGEST_DELAY),
            _ => FIRST_DELAY,
        };
        self.last = Some(delay);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_doubles_to_a_minute_and_falls_back() {
        let mut backoff = Backoff::default();
        let short = Duration::from_millis(5);
        assert_eq!(backoff.next(short), Duration::from_millis(100));
        assert_eq!(backoff.next(short), Duration::from_millis(200));
        for _ in 0..20 {
            backoff.next(short);
        }
        assert_eq!(backoff.next(short), LONGEST_DELAY);
        assert_eq!(backoff.next(STEADY), FIRST_DELAY);
    }

    #[test]
    fn on_failure_counts() {
        let policy = Policy::parse("on-failure", 2).expect("a valid policy");
        assert!(policy.after_exit(1, 1, false));
        assert!(!policy.after_exit(1, 2, false));
        assert!(!policy.after_exit(0, 0, false));
    }

    #[test]
    fn only_always_overrules_the_hand_at_boot() {
        assert!(Policy::Always.at_boot(0, 0, true));
        assert!(!Policy::UnlessStopped.at_boot(0, 0, true));
        assert!(Policy::UnlessStopped.at_boot(0, 0, false));
        assert!(!Policy::OnFailure(2).at_boot(1, 2, false));
        assert!(!Policy::Always.after_exit(1, 0, true));
    }

    #[test]
    fn a_count_belongs_to_on_failure() {
        assert_eq!(Policy::parse("always", 3), Err(PolicyError::CountWithoutFailure));
        assert!(Policy::parse("sometimes", 0).is_err());
    }
}
