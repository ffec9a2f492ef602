//! One service's process, which the supervisor starts and restarts.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gantry_daemon::{Roots, exit};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::PATIENCE;
use super::door::Door;
use super::failure::{self, Failure};
use super::log::Log;
use crate::output;

/// The first wait before a restart, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// A process that ran for this long has not failed at its start.
const STEADY: Duration = Duration::from_secs(10);
/// Nor has one that ran for so many times the wait before it, because restarting it costs little.
const PROPORTION: u32 = 20;
/// How often to look at the size of its log.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// A process that fails this many times in a row does not start.
const ATTEMPTS: u32 = 3;

pub struct Child {
    pub binary: PathBuf,
    pub service: &'static str,
    pub roots: Roots,
    /// Additional arguments.
    pub options: Vec<OsString>,
    /// Its standard input, if it gets one.
    pub door: Option<Door>,
    /// Gets the reason if it does not start.
    pub failures: mpsc::Sender<Failure>,
    /// Whether all services have answered.
    pub ready: Arc<AtomicBool>,
}

impl Child {
    /// Keeps the service running until `stop`, then ends it.
    pub async fn keep_running(mut self, stop: CancellationToken) {
        let mut backoff = BACKOFF.0;
        let mut ends = Ends::default();
        loop {
            let started = Instant::now();
            let log = Log::of(&self.roots, self.service).length();
            match self.start() {
                Ok(mut child) => {
                    tokio::select! {
                        ended = self.ended(&mut child) => {
                            if started.elapsed() > STEADY {
                                ends = Ends::default();
                            }
                            match ended {
                                Ok(status) => self.tell(status, log, &mut ends),
                                Err(error) => output::note(format_args!("wait for service {}: {error}", self.service)),
                            }
                        }
                        () = stop.cancelled() => {
                            end(&mut child).await;
                            return;
                        }
                    }
                }
                Err(error) => output::note(format_args!("{error:#}")),
            }
            if started.elapsed() > STEADY.min(backoff * PROPORTION) {
                backoff = BACKOFF.0;
            }
            tokio::select! {
                () = tokio::time::sleep(backoff) => {}
                () = stop.cancelled() => return,
            }
            backoff = (backoff * 2).min(BACKOFF.1);
            // A process of an earlier supervisor, which did not listen yet when this one looked, may hold the state and so keep the
            // new one from starting.
            if let Err(error) = super::replace(&self.roots, self.service).await {
                output::note(format_args!("{error:#}"));
            }
        }
    }

    /// Reports why it has ended, once for each reason, to the log and to the caller that waits for it to be ready.
    fn tell(&self, status: ExitStatus, log: u64, ends: &mut Ends) {
        let service = self.service;
        // It is restarted all the same, because a person may decide meanwhile.
        if let Ok(refusal) = std::fs::read_to_string(self.roots.refusal(service)) {
            if ends.is_new(&refusal) {
                output::note(format_args!("service {service} does not start: {refusal}"));
            }
            return;
        }
        if !failure::is_own(status) {
            output::note(format_args!("service {service} ended ({status}), starting it again"));
            return;
        }
        let words = failure::words(&self.roots, service, status, log);
        let is_new = ends.is_new(&words);
        let held = status.code() == Some(exit::HELD.into());
        if self.ready.load(Ordering::Relaxed) || held {
            if is_new {
                output::note(format_args!("service {service} ended: {words}; starting it again"));
            }
            return;
        }
        ends.count += 1;
        if status.code() == Some(exit::SETTINGS.into()) || ends.count >= ATTEMPTS {
            // One report is enough.
            let _ = self.failures.try_send(Failure { service, words });
        }
    }

    /// Waits for its end, and meanwhile keeps its log small.
    async fn ended(&self, child: &mut tokio::process::Child) -> std::io::Result<ExitStatus> {
        let log = Log::of(&self.roots, self.service);
        let mut told = false;
        loop {
            if let Ok(status) = tokio::time::timeout(LOG_INTERVAL, child.wait()).await {
                return status;
            }
            let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
            let Some(pid) = pid.filter(|_| log.is_full()) else { continue };
            // The child is not reaped meanwhile, so its pid is not reused.
            if let Err(error) = log.move_away(pid)
                && !std::mem::replace(&mut told, true)
            {
                output::note(output::explain(&error));
            }
        }
    }

    fn start(&mut self) -> Result<tokio::process::Child> {
        let input = self.door.as_mut().map_or_else(|| Ok(Stdio::null()), Door::stdin)?;
        let log = Log::of(&self.roots, self.service).open()?;
        Command::new(&self.binary)
            .arg(self.service)
            .arg("--state")
            .arg(&self.roots.state)
            .arg("--run")
            .arg(&self.roots.run)
            .args(&self.options)
            .stdin(input)
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C in the terminal must reach the supervisor only, which ends its children itself.
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {} {}", self.binary.display(), self.service))
    }
}

/// How a service has ended, each time.
#[derive(Debug, Default)]
struct Ends {
    /// The last reason that was reported.
    reason: String,
    /// How many times it has ended by an error of its own.
    count: u32,
}

impl Ends {
    /// Whether this reason differs from the last.
    fn is_new(&mut self, reason: &str) -> bool {
        let is_new = self.reason != reason;
        reason.clone_into(&mut self.reason);
        is_new
    }
}

async fn end(child: &mut tokio::process::Child) {
    if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
        // It may be gone already; the wait below reaps it.
        let _ = kill_process(pid, Signal::TERM);
    }
    if tokio::time::timeout(PATIENCE, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}
