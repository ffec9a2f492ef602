//! Starts and stops the fake engine's containers.

use std::time::Duration;

use gantry_api::engine::containers::{self as api, Before, Run, Sampling, Watch};
use gantry_api::engine::{Sample, Stats, StopSpec, Window};
use gantry_rpc::Code;
use gantry_types::Signal;

use super::Engine;
use super::container::Phase;
use super::names::now;
use super::state::{KILLED, conflict};
use crate::Refused;
use crate::tasks::ends;

/// How long a start waits for clients that attach.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time between two samples.
const PERIOD: Duration = Duration::from_secs(1);

fn signal(text: &str) -> Result<Signal, Refused> {
    text.parse().map_err(|_| Refused::new(Code::InvalidArgument, text, "no such signal"))
}

/// The exit code of a process that a signal has killed.
fn killed_by(signal: Signal) -> i32 {
    128 + i32::try_from(signal.number()).unwrap_or(0)
}

impl Engine {
    async fn stop(&self, spec: &StopSpec) -> Result<Before, Refused> {
        let lasting = self.edit(|state| {
            let container = state.find(&spec.container)?;
            if !container.has_process() {
                return Ok(None);
            }
            let with = match spec.signal.as_str() {
                "" => container.stop_signal(),
                named => signal(named)?,
            };
            let (id, ended) = (container.id.clone(), container.ends);
            // A container that ends with the machine continues with its restart policy.
            container.by_hand = !spec.until_boot;
            let waits = !ends(with);
            state.tell_more(&id, "kill", &[("signal", with.number().to_string())], &self.0.live);
            state.tell(&id, "stop", &self.0.live);
            if !waits {
                state.end(&id, killed_by(with), &self.0.live);
            }
            Ok(Some((id, ended, waits)))
        })?;
        let Some((id, ended, waits)) = lasting else { return Ok(Before::Already) };
        let patience = self.edit(|state| state.by_id(&id).map(|one| one.spec.config.stop_timeout));
        let patience = spec.timeout.or(patience.flatten()).unwrap_or(10);
        if waits {
            let gone = self.until(|state| match state.by_id(&id) {
                Some(container) => (container.ends > ended).then_some(()),
                None => Some(()),
            });
            match u64::try_from(patience) {
                Ok(seconds) => drop(tokio::time::timeout(Duration::from_secs(seconds), gone).await),
                Err(_) => gone.await,
            }
            self.edit(|state| match state.by_id(&id) {
                Some(container) if container.ends == ended => state.end(&id, KILLED, &self.0.live),
                _ => {}
            });
        }
        Ok(Before::Otherwise)
    }
}

impl Run for Engine {
    async fn start_container(&self, name: &str) -> Result<Before, Refused> {
        let id = self.edit(|state| {
            let container = state.find(name)?;
            match container.phase {
                Phase::Paused => return conflict(name, "it is paused"),
                Phase::Running | Phase::Starting => return Ok(None),
                Phase::Created | Phase::Exited => {}
            }
            container.phase = Phase::Starting;
            container.restarts = 0;
            Ok(Some(container.id.clone()))
        })?;
        let Some(id) = id else { return Ok(Before::Already) };
        let connected = self.until(|state| match state.by_id(&id) {
            Some(container) => (container.attaching == 0).then_some(()),
            None => Some(()),
        });
        // The start waits for a limited time.
        let _ = tokio::time::timeout(PATIENCE, connected).await;
        self.edit(|state| state.run(&id, &self.0.live))?;
        Ok(Before::Otherwise)
    }

    async fn stop_container(&self, spec: StopSpec) -> Result<Before, Refused> {
        self.stop(&spec).await
    }

    async fn restart_container(&self, spec: StopSpec) -> Result<(), Refused> {
        self.stop(&spec).await?;
        self.start_container(&spec.container).await?;
        self.edit(|state| {
            let id = state.find(&spec.container)?.id.clone();
            state.tell(&id, "restart", &self.0.live);
            Ok(())
        })
    }

    async fn kill_container(&self, name: &str, with: &str) -> Result<(), Refused> {
        let with = if with.is_empty() { Signal::KILL } else { signal(with)? };
        self.edit(|state| {
            let container = state.running(name)?;
            let id = container.id.clone();
            container.by_hand |= with == Signal::KILL || with == container.stop_signal();
            let frozen = container.phase == Phase::Paused && with != Signal::KILL;
            state.tell_more(&id, "kill", &[("signal", with.number().to_string())], &self.0.live);
            // A frozen process gets its signal when it is thawed.
            if ends(with) && !frozen {
                state.end(&id, killed_by(with), &self.0.live);
            }
            Ok(())
        })
    }

    async fn pause_container(&self, name: &str) -> Result<(), Refused> {
        self.edit(|state| {
            let container = state.running(name)?;
            if container.phase == Phase::Paused {
                return conflict(name, "it is paused already");
            }
            container.phase = Phase::Paused;
            let id = container.id.clone();
            state.tell(&id, "pause", &self.0.live);
            Ok(())
        })
    }

    async fn unpause_container(&self, name: &str) -> Result<(), Refused> {
        self.edit(|state| {
            let container = state.find(name)?;
            if container.phase != Phase::Paused {
                return Err(Refused::new(Code::Internal, name, "it is not paused"));
            }
            container.phase = Phase::Running;
            let id = container.id.clone();
            state.tell(&id, "unpause", &self.0.live);
            Ok(())
        })
    }

    async fn resize_container(&self, name: &str, size: Window) -> Result<(), Refused> {
        self.edit(|state| {
            let id = state.running(name)?.id.clone();
            let more = [("height", size.height.to_string()), ("width", size.width.to_string())];
            state.tell_more(&id, "resize", &more, &self.0.live);
            Ok(())
        })
    }
}

/// Samples the usage of a container, which has one process.
#[derive(Debug)]
pub struct Samples {
    engine: Engine,
    id: String,
    name: String,
    sampling: Sampling,
    told: usize,
    previous: Option<Sample>,
}

impl Watch for Engine {
    type Samples = Samples;

    async fn stats(&self, name: &str, sampling: Sampling) -> Result<Samples, Refused> {
        self.edit(|state| {
            let container = state.find(name)?;
            let (id, name) = (container.id.clone(), container.name.clone());
            Ok(Samples { engine: self.clone(), id, name, sampling, told: 0, previous: None })
        })
    }
}

impl Samples {
    /// `None` if the container does not run.
    fn sample(&self) -> Option<Sample> {
        let runs = self.engine.edit(|state| state.by_id(&self.id).is_some_and(|one| one.has_process()));
        runs.then(|| Sample { read_at: now(), pids_current: 1, online_cpus: 1, ..Sample::default() })
    }
}

impl api::Samples for Samples {
    type Error = Refused;

    async fn next(&mut self) -> Result<Option<Stats>, Refused> {
        let is_there = self.engine.edit(|state| state.by_id(&self.id).is_some());
        if self.told > 0 && (self.sampling != Sampling::Stream || !is_there) {
            return Ok(None);
        }
        let mut current = self.sample();
        if self.told > 0 || self.sampling == Sampling::Once && current.is_some() {
            self.previous = if self.told > 0 { self.previous.take() } else { current };
            tokio::time::sleep(PERIOD).await;
            current = self.sample();
        }
        self.told += 1;
        let previous = std::mem::replace(&mut self.previous, current.clone());
        Ok(Some(Stats { id: self.id.clone(), name: self.name.clone(), current, previous }))
    }
}
