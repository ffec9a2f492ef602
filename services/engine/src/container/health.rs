//! Probing a running container's health with execs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gantry_api::engine::{ExecSpec, Status};
use gantry_daemon::Context;
use gantry_types::Signal;

use super::Container;
use crate::events::Events;
use crate::exec::{Execs, Kept};
use crate::health::{Check, OUTPUT_LENGTH, Probe, TIMED_OUT};
use crate::peers::Tasks;
use crate::record::Record;
use crate::time;

/// The health check of a container; `None` if it has none.
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

/// Probes containers' health. Cheap to clone.
#[derive(Clone)]
pub struct Probes {
    execs: Execs,
    tasks: Tasks,
    events: Events,
    context: Context,
}

impl Probes {
    /// Probes with these execs. Work in the background ends with the service of `context`.
    pub fn new(execs: &Execs, tasks: &Tasks, events: &Events, context: &Context) -> Probes {
        Probes {
            execs: execs.clone(),
            tasks: tasks.clone(),
            events: events.clone(),
            context: context.clone(),
        }
    }

    /// Probes in the background until the run ends.
    pub(crate) fn watch(&self, container: &Arc<Container>, run: u64) {
        let Some(check) = check_of(&container.record()) else { return };
        let (probes, container) = (self.clone(), Arc::clone(container));
        self.context.spawn("probe a container", async move {
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
                    probes.probe(&container, &check, run).await;
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
            // A service that cannot be reached says nothing about the container.
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
            self.events.publish_container(container, &action, BTreeMap::new());
        }
    }

    /// Runs the probe's program. Returns its exit code (`None` after a timeout) and its output.
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
        let exec = self.execs.make(container, request, Kept::ForProbe).await?;
        // One byte more than is kept, which shows that output was cut off.
        let mut output = Vec::new();
        let run = self.execs.run_captured(&exec, &mut output, OUTPUT_LENGTH + 1);
        let code = match tokio::time::timeout(check.timeout, run).await {
            Ok(code) => code.map(Some),
            Err(_) => {
                // A probe that exceeds its timeout is killed.
                let _ = self.tasks.kill(&exec.process(), Signal::KILL).await;
                Ok(None)
            }
        };
        container.execs.remove(exec.id());
        let mut text = String::from_utf8_lossy(&output[..output.len().min(OUTPUT_LENGTH)]).into_owned();
        if output.len() > OUTPUT_LENGTH {
            text.push_str("...");
        }
        Ok((code?, text))
    }
}
