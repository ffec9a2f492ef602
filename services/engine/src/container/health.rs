//! Probing a running container's health with execs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gantry_api::engine::{ExecSpec, Status};

use super::Container;
use super::signal::Signal;
use crate::engine::Engine;
use crate::health::{Check, OUTPUT_LENGTH, Probe, TIMED_OUT};
use crate::record::Record;
use crate::time;

/// How a container is to be probed; `None` when it is not.
pub fn check_of(record: &Record) -> Option<Check> {
    let config = record.config.healthcheck.as_ref()?;
    let duration = |nanoseconds: i64| Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0));
    Check::parse(
        &config.test,
        &record.config.shell,
        duration(config.interval),
        duration(config.timeout),
        duration(config.start_period),
        duration(config.start_interval),
        u32::try_from(config.retries).unwrap_or(0),
    )
}

impl Engine {
    /// Probes in the background until the run ends.
    pub(crate) fn watch_health(&self, container: &Arc<Container>, run: u64) {
        let Some(check) = check_of(&container.record()) else { return };
        let (engine, container) = (self.clone(), Arc::clone(container));
        self.spawn("probe a container", async move {
            let mut watch = container.watch();
            loop {
                let pause = {
                    let life = container.life();
                    let Some(health) = life.health.as_ref() else { return };
                    check.pause(health, time::elapsed(life.past().started_at))
                };
                let ended = watch.wait_for(|life| !life.is_in(run));
                if tokio::time::timeout(pause, ended).await.is_ok() {
                    return;
                }
                if container.status() == Status::Running {
                    engine.probe(&container, &check, run).await;
                }
            }
        });
    }

    async fn probe(&self, container: &Arc<Container>, check: &Check, run: u64) {
        let start = time::now();
        let (exit_code, output) = match self.run_probe(container, check).await {
            Ok((Some(code), output)) => (code, output),
            Ok((None, output)) => {
                let mut text = format!("Health check exceeded timeout ({})", time::in_go(check.timeout));
                if !output.is_empty() {
                    text = format!("{text}: {output}");
                }
                (TIMED_OUT, text)
            }
            // A service that is away says nothing about the container.
            Err(error) if error.is_passing() => {
                tracing::debug!(container = %container.id(), error = %gantry_rpc::chain(&error), "not probed");
                return;
            }
            Err(error) => (TIMED_OUT, gantry_rpc::chain(&error)),
        };
        let probe = Probe { start, end: time::now(), exit_code, output };
        let changed = container.change(|life| {
            if !life.is_in(run) {
                return None;
            }
            let since = time::elapsed(life.past().started_at);
            life.health.as_mut()?.record(probe, check, since)
        });
        if let Some(status) = changed {
            let action = format!("health_status: {}", status.as_str());
            self.publish_container(container, &action, BTreeMap::new());
        }
    }

    /// Runs the probe's program: its exit code, none when it ran out of time, and what it has printed.
    async fn run_probe(
        &self,
        container: &Arc<Container>,
        check: &Check,
    ) -> crate::error::Result<(Option<i32>, String)> {
        let request = ExecSpec {
            container: container.id().to_owned(),
            attach_stdout: true,
            attach_stderr: true,
            cmd: check.command.clone(),
            ..Default::default()
        };
        let exec = self.make_exec(container, request, crate::exec::Kept::ForProbe).await?;
        // One byte more tells that there was more.
        let mut output = Vec::new();
        let run = self.run_captured(&exec, &mut output, OUTPUT_LENGTH + 1);
        let code = match tokio::time::timeout(check.timeout, run).await {
            Ok(code) => code.map(Some),
            Err(_) => {
                // What does not end in time is ended.
                let _ = self.peers.kill_task(container.id(), exec.id(), Signal::KILL).await;
                Ok(None)
            }
        };
        container.execs.lock().remove(exec.id());
        let mut text = String::from_utf8_lossy(&output[..output.len().min(OUTPUT_LENGTH)]).into_owned();
        if output.len() > OUTPUT_LENGTH {
            text.push_str("...");
        }
        Ok((code?, text))
    }
}
