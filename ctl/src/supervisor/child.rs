//! One service's process: started, and started again.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gantry_daemon::Roots;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::PATIENCE;
use crate::output;

/// The first wait before a restart, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// A process that ran for this long has not died of its start.
const STEADY: Duration = Duration::from_secs(10);

pub struct Child {
    pub binary: PathBuf,
    pub service: &'static str,
    pub roots: Roots,
    /// Further arguments.
    pub options: Vec<OsString>,
}

impl Child {
    /// Keeps the service running until `stop`, then ends it.
    pub async fn keep_running(self, stop: CancellationToken) {
        let mut backoff = BACKOFF.0;
        loop {
            let started = Instant::now();
            match self.start() {
                Ok(mut child) => {
                    tokio::select! {
                        status = child.wait() => {
                            let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                            output::note(format_args!("service {} ended ({status}), starting it again", self.service));
                        }
                        () = stop.cancelled() => {
                            end(&mut child).await;
                            return;
                        }
                    }
                }
                Err(error) => output::note(format_args!("{error:#}")),
            }
            if started.elapsed() > STEADY {
                backoff = BACKOFF.0;
            }
            tokio::select! {
                () = tokio::time::sleep(backoff) => {}
                () = stop.cancelled() => return,
            }
            backoff = (backoff * 2).min(BACKOFF.1);
            // One that an earlier supervisor left, and that did not listen yet when this one looked, keeps ours from
            // starting: it holds the state.
            if let Err(error) = super::replace(&self.roots, self.service).await {
                output::note(format_args!("{error:#}"));
            }
        }
    }

    fn start(&self) -> Result<tokio::process::Child> {
        let folder = self.roots.state.join("log");
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let path = folder.join(format!("{}.log", self.service));
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("open {}", path.display()))?;
        Command::new(&self.binary)
            .arg(self.service)
            .arg("--state")
            .arg(&self.roots.state)
            .arg("--run")
            .arg(&self.roots.run)
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C in the terminal is for the supervisor, which ends its children itself.
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {} {}", self.binary.display(), self.service))
    }
}

async fn end(child: &mut tokio::process::Child) {
    if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
        // Gone already: waited for below all the same.
        let _ = kill_process(pid, Signal::TERM);
    }
    if tokio::time::timeout(PATIENCE, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}
