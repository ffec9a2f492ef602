//! Probing a running container's health with execs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gantry_api::engine::{ExecSpec, Status};
use gantry_daemon::Context;
use gantry_docker::moment;
use gantry_types::Signal;
use tokio::time::Instant;

use super::Container;
use crate::events::Events;
use crate::exec::{Exec, Execs, Kept};
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
                let mut text = format!("Health check exceeded timeout ({})", moment::in_go(check.timeout));
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
            // Who was paused meanwhile is not probed, whatever this probe saw before.
            if !life.is_in(run) || life.status() != Status::Running {
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
        let mut output = Vec::new();
        let code = self.run_in_time(&exec, check.timeout, &mut output).await;
        container.execs.remove(exec.id());
        let mut text = String::from_utf8_lossy(&output[..output.len().min(OUTPUT_LENGTH)]).into_owned();
        if output.len() > OUTPUT_LENGTH {
            text.push_str("...");
        }
        Ok((code?, text))
    }

    /// Runs a probe for a limited time. Returns its exit code, `None` after a timeout.
    async fn run_in_time(
        &self,
        exec: &Arc<Exec>,
        limit: Duration,
        output: &mut Vec<u8>,
    ) -> crate::error::Result<Option<i32>> {
        let deadline = Instant::now() + limit;
        // The start counts, but is not cut short: only a process that has started can be killed.
        let stream = self.execs.start_attached(exec).await?;
        // One byte more than is kept, which shows that output was cut off.
        let run = self.execs.captured(exec, stream, output, OUTPUT_LENGTH + 1);
        match tokio::time::timeout_at(deadline, run).await {
            Ok(code) => Ok(Some(code)),
            Err(_) => {
                // A probe that exceeds its timeout is killed.
                let _ = self.tasks.kill(&exec.process(), Signal::KILL).await;
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use gantry_fakes::Program;
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::stage::Stage;

    #[tokio::test]
    async fn a_probe_whose_time_is_up_before_it_has_started_is_killed() {
        let stage = Stage::new();
        let container = stage.running("web").await;
        stage.tasks.install("look", Program::StartsLate(Duration::from_millis(200)));
        let socket = stage.peers.shims.attach_socket(container.id());
        std::fs::create_dir_all(socket.parent().expect("a bundle")).expect("a folder");
        let listener = gantry_rpc::socket::bind(&socket, 0o600).expect("a socket");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("an attachment");
            gantry_api::engine::receive_attachment(&mut stream, |_| false).await.expect("a request");
            // Without output, until the engine is gone.
            let _ = stream.read_u8().await;
        });
        let facts = gantry_spec::Facts::detect();
        let execs = Execs::new(&stage.containers, &stage.peers, &stage.events, &facts, &stage.context());
        let probes = Probes::new(&execs, &stage.peers.tasks, &stage.events, &stage.context());
        let request = ExecSpec { cmd: vec!["look".to_owned()], ..ExecSpec::default() };
        let exec = execs.make(&container, request, Kept::ForProbe).await.expect("made");
        let mut output = Vec::new();
        let code = probes.run_in_time(&exec, Duration::from_millis(20), &mut output).await;
        assert_eq!(code.expect("it was run"), None, "its time was up");
        let ended = tokio::time::timeout(Duration::from_secs(10), exec.ended()).await;
        assert_eq!(ended, Ok(137), "it was killed, and its end seen");
    }
}
