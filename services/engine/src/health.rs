//! Health as Docker counts it: `starting` until the first success, `unhealthy` after so many failures in a row.
//!
//! ```text
//! starting ──ok──▶ healthy ──retries × failure──▶ unhealthy ──ok──▶ healthy
//!     └──retries × failure, after the start period──▶ unhealthy
//! ```
//!
//! A container that is not probed, because it does not run or is frozen, is `unhealthy` too. The results of the last
//! probes are kept over the next start.

use std::collections::VecDeque;
use std::time::Duration;

/// Probes that are kept.
const LOG_LENGTH: usize = 5;
/// Bytes of a probe's output that are kept.
pub const OUTPUT_LENGTH: usize = 4096;
/// The exit code recorded for a probe that timed out.
pub const TIMED_OUT: i32 = -1;

/// How a container is probed. Every duration is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Time between probes.
    pub interval: Duration,
    /// Time after which a probe fails.
    pub timeout: Duration,
    /// Time after the start in which failures do not count.
    pub start_period: Duration,
    /// Time between probes during the start period.
    pub start_interval: Duration,
    /// Failures in a row that make a container unhealthy.
    pub retries: u32,
}

impl Check {
    /// Reads Docker's configuration. A duration of zero means the default. Returns `None` if there is no command to
    /// probe with.
    pub fn parse(
        test: &[String],
        shell: &[String],
        interval: Duration,
        timeout: Duration,
        start_period: Duration,
        start_interval: Duration,
        retries: u32,
    ) -> Option<Check> {
        let or = |value: Duration, default: u64| {
            if value.is_zero() { Duration::from_secs(default) } else { value }
        };
        let command = match test.split_first() {
            Some((kind, rest)) if kind == "CMD" && !rest.is_empty() => rest.to_vec(),
            Some((kind, rest)) if kind == "CMD-SHELL" && !rest.is_empty() => {
                let mut command: Vec<String> = if shell.is_empty() {
                    vec!["/bin/sh".to_owned(), "-c".to_owned()]
                } else {
                    shell.to_vec()
                };
                command.push(rest.join(" "));
                command
            }
            _ => return None,
        };
        Some(Check {
            command,
            interval: or(interval, 30),
            timeout: or(timeout, 30),
            start_period,
            start_interval: or(start_interval, 5),
            retries: if retries == 0 { 3 } else { retries },
        })
    }

    /// Time until the next probe.
    pub fn pause(&self, health: &Health, since_start: Duration) -> Duration {
        let starting = health.status == Status::Starting && since_start < self.start_period;
        if starting { self.start_interval } else { self.interval }
    }
}

/// The state of a container's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Status {
    /// No verdict yet.
    #[default]
    Starting,
    /// The last probe succeeded, or too few have failed since.
    Healthy,
    /// Too many probes failed in a row.
    Unhealthy,
}

impl Status {
    /// Docker's word for the status.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Starting => "starting",
            Status::Healthy => "healthy",
            Status::Unhealthy => "unhealthy",
        }
    }
}

/// One probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Nanoseconds since 1970.
    pub start: i64,
    /// Nanoseconds since 1970.
    pub end: i64,
    /// 0 means healthy.
    pub exit_code: i32,
    /// At most [`OUTPUT_LENGTH`] bytes.
    pub output: String,
}

/// The state of one container's health, from its start on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The present status.
    pub status: Status,
    /// Failures since the last success.
    pub failing_streak: u32,
    /// The last probes, oldest first.
    pub log: VecDeque<Probe>,
}

impl Health {
    /// The health of a container that has just been started; keeps the log of earlier runs.
    pub fn starting(before: Option<Health>) -> Health {
        Health { log: before.unwrap_or_default().log, ..Health::default() }
    }

    /// The health of a container that has run before and is not probed.
    pub fn unprobed() -> Health {
        Health { status: Status::Unhealthy, ..Health::default() }
    }

    /// Records that the container is no longer probed.
    pub fn unwatch(&mut self) {
        self.status = Status::Unhealthy;
    }

    /// Takes a probe in. Returns the new status if it changed.
    pub fn record(&mut self, probe: Probe, check: &Check, since_start: Duration) -> Option<Status> {
        let before = self.status;
        if probe.exit_code == 0 {
            self.failing_streak = 0;
            self.status = Status::Healthy;
        } else if self.status != Status::Starting || since_start >= check.start_period {
            self.failing_streak += 1;
            if self.failing_streak >= check.retries {
                self.status = Status::Unhealthy;
            }
        }
        self.log.push_back(probe);
        while self.log.len() > LOG_LENGTH {
            self.log.pop_front();
        }
        (self.status != before).then_some(self.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(start_period: u64) -> Check {
        Check::parse(
            &["CMD-SHELL".to_owned(), "true".to_owned()],
            &[],
            Duration::ZERO,
            Duration::ZERO,
            Duration::from_secs(start_period),
            Duration::ZERO,
            2,
        )
        .expect("a test is given")
    }

    fn probe(exit_code: i32) -> Probe {
        Probe { start: 0, end: 0, exit_code, output: String::new() }
    }

    #[test]
    fn shell_tests_run_in_a_shell() {
        assert_eq!(check(0).command, ["/bin/sh", "-c", "true"]);
        let none = Check::parse(
            &["NONE".to_owned()],
            &[],
            Duration::ZERO,
            Duration::ZERO,
            Duration::ZERO,
            Duration::ZERO,
            0,
        );
        assert_eq!(none, None);
    }

    #[test]
    fn failures_in_a_row_make_unhealthy_and_one_success_heals() {
        let check = check(0);
        let mut health = Health::default();
        let later = Duration::from_secs(60);
        assert_eq!(health.record(probe(1), &check, later), None);
        assert_eq!(health.record(probe(1), &check, later), Some(Status::Unhealthy));
        assert_eq!(health.record(probe(0), &check, later), Some(Status::Healthy));
        assert_eq!(health.failing_streak, 0);
    }

    #[test]
    fn the_start_period_forgives() {
        let check = check(30);
        let mut health = Health::default();
        for _ in 0..5 {
            assert_eq!(health.record(probe(1), &check, Duration::from_secs(1)), None);
        }
        assert_eq!(health.failing_streak, 0);
        assert_eq!(check.pause(&health, Duration::from_secs(1)), Duration::from_secs(5));
        assert_eq!(health.record(probe(0), &check, Duration::from_secs(2)), Some(Status::Healthy));
        assert_eq!(health.record(probe(1), &check, Duration::from_secs(3)), None);
        assert_eq!(health.failing_streak, 1);
    }

    #[test]
    fn a_start_forgets_the_verdict_and_keeps_the_log() {
        let mut health = Health::default();
        health.record(probe(1), &check(0), Duration::ZERO);
        health.unwatch();
        assert_eq!((health.status, health.failing_streak), (Status::Unhealthy, 1));
        let health = Health::starting(Some(health));
        assert_eq!((health.status, health.failing_streak, health.log.len()), (Status::Starting, 0, 1));
    }

    #[test]
    fn five_probes_are_remembered() {
        let check = check(0);
        let mut health = Health::default();
        for _ in 0..9 {
            health.record(probe(0), &check, Duration::ZERO);
        }
        assert_eq!(health.log.len(), 5);
    }
}
