//! The life of a container: its phase, and the outcome of its runs so far.
//!
//! ```text
//!                 ┌────────────────────── begin ───────────────────┐
//!                 ▼                                                │
//! Created ──▶ Starting ── started ──▶ Running ──┬─ end ─▶ Exited ──┤
//!                                      ▲   │    │           ▲      │
//!                                      └───┘    │    cancel │      │
//!                                 freeze, thaw  ├─ end ─▶ Restarting
//!                                               └─ end ─▶ Ended
//!
//! Created, Exited, Restarting, Ended, Dead ── remove ──▶ Removing ──▶ Removed
//!                                      ▲                    │
//!                                      └────── failed ──────┘
//! ```
//!
//! A start that fails at any point leads back to `Created`, or to `Exited` if the container has ever run. An engine
//! that starts *adopts* each container that it finds running, whatever phase was recorded.
//!
//! A transition is a method that refuses every phase from which the diagram has no arrow. The caller of a transition
//! must hold the container's turn. Two facts are taken in at any time without the turn: that memory ran out, and that
//! a caller wants the run to end. [`recorded`] says what is written to the database; a start that is interrupted is
//! recorded as if it had not begun.

mod past;
mod phase;
pub mod recorded;

use std::sync::Arc;
use std::time::Duration;

use gantry_api::engine::{EndpointSettings, Status};
use gantry_api::network::Netns;

pub use self::past::{Memory, Past};
pub use self::phase::{Pause, Phase, Rest, Running, Then};
use super::start::By;
use crate::health::Health;

/// What clients can see of a container and wait for.
#[derive(Clone, Debug, Default)]
pub struct Life {
    phase: Phase,
    past: Past,
    run: u64,
    ends: u64,
    failures: u64,
    /// Health, if a health check is configured and running.
    pub health: Option<Health>,
}

/// A start that has succeeded.
pub struct Started {
    /// Process id of the container's first process.
    pub pid: u32,
    /// Time of the start, nanoseconds since 1970.
    pub at: i64,
    /// Who started the container.
    pub by: By,
    /// The container's network namespace.
    pub netns: Option<Arc<Netns>>,
}

/// How a run ended.
#[derive(Debug, PartialEq)]
pub struct End {
    /// Length of the run.
    pub ran: Duration,
    /// The network namespace of the run.
    pub netns: Option<Arc<Netns>>,
    /// Whether the restart policy starts the container again.
    pub restarts: bool,
    /// Whether the run ran out of memory and no event has reported it yet.
    pub untold_shortage: bool,
    /// Whether a user stopped the container.
    pub stopped: bool,
    /// Whether the caller that ended the run continues with the container: the engine then neither removes it
    /// (`--rm`) nor restarts it.
    pub kept: bool,
}

/// A transition that a container's phase does not permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a container that is {status} cannot {verb}")]
pub struct Illegal {
    status: &'static str,
    verb: &'static str,
}

impl Life {
    /// The container's phase.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The outcome of the container's runs.
    pub fn past(&self) -> &Past {
        &self.past
    }

    /// Number of the present run, counted from the engine's start. What belongs to an earlier run does not affect a
    /// later one.
    pub fn run(&self) -> u64 {
        self.run
    }

    /// Number of runs that have ended, for callers that wait for the next end.
    pub fn ends(&self) -> u64 {
        self.ends
    }

    /// Number of starts that have failed, for callers that wait for a start.
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// Docker's word for the phase.
    pub fn status(&self) -> Status {
        match &self.phase {
            Phase::Created | Phase::Starting { from: Rest::Created } => Status::Created,
            Phase::Running(Running { pause: Pause::No, .. }) => Status::Running,
            Phase::Running(_) => Status::Paused,
            Phase::Exited | Phase::Ended | Phase::Starting { from: Rest::Exited } => Status::Exited,
            Phase::Restarting { .. } | Phase::Starting { from: Rest::Restarting } => Status::Restarting,
            Phase::Removing | Phase::Removed => Status::Removing,
            Phase::Dead => Status::Dead,
        }
    }

    /// What the container has while it runs, frozen or not.
    pub fn running(&self) -> Option<&Running> {
        match &self.phase {
            Phase::Running(running) => Some(running),
            _ => None,
        }
    }

    /// Whether the container has a process; a frozen process counts.
    pub fn has_process(&self) -> bool {
        self.running().is_some()
    }

    /// Whether the container is in this run.
    pub fn is_in(&self, run: u64) -> bool {
        self.run == run && self.has_process()
    }

    /// Whether the record says that the container's processes run.
    pub fn is_recorded_as_running(&self) -> bool {
        self.running().is_some_and(|running| running.pause != Pause::ByHand)
    }

    /// Whether the container's shim accepts attachments.
    pub fn is_attachable(&self) -> bool {
        matches!(self.phase, Phase::Starting { .. } | Phase::Running(_))
    }

    /// Whether the container is removed, is being removed, or is being ended in order to be removed.
    pub fn is_going(&self) -> bool {
        matches!(
            self.phase,
            Phase::Running(Running { then: Then::Remove, .. })
                | Phase::Ended
                | Phase::Removing
                | Phase::Removed
        )
    }

    /// Whether the container is removed.
    pub fn is_removed(&self) -> bool {
        self.phase == Phase::Removed
    }

    /// Whether the container is being removed, or a removal failed and may have removed parts of it.
    pub fn is_unmade(&self) -> bool {
        self.is_going() || self.phase == Phase::Dead
    }

    /// Whether the container waits for its restart policy's next start.
    pub fn is_due(&self) -> bool {
        self.phase == Phase::Restarting { held: false }
    }

    /// The container's network namespace, while it runs.
    pub fn netns(&self) -> Option<&Arc<Netns>> {
        self.running()?.netns.as_ref()
    }

    /// The id of the network `name` that the container is on: from the endpoint settings, else from the last run.
    pub fn network_id<'a>(&'a self, name: &str, asked: &'a EndpointSettings) -> &'a str {
        match asked.network_id.as_str() {
            "" => self.past.networks.get(name).map_or("", String::as_str),
            given => given,
        }
    }

    /// Records that the task is made and a run begins. Returns the run's number.
    pub fn begin(&mut self, at: i64) -> Result<u64, Illegal> {
        let from = match self.phase {
            Phase::Created => Rest::Created,
            Phase::Exited => Rest::Exited,
            Phase::Restarting { .. } => Rest::Restarting,
            _ => return self.refuse("begin a run"),
        };
        self.phase = Phase::Starting { from };
        self.run += 1;
        self.past.begun_at = at;
        self.past.memory = Memory::Sufficed;
        Ok(self.run)
    }

    /// Records that the container's process runs.
    pub fn started(&mut self, start: Started) -> Result<(), Illegal> {
        if !matches!(self.phase, Phase::Starting { .. }) {
            return self.refuse("start to run");
        }
        let past = &mut self.past;
        past.error.clear();
        past.exit_code = 0;
        past.started_at = start.at;
        past.stopped_by_hand = false;
        if start.by == By::Hand {
            past.restart_count = 0;
        }
        let endpoints = start.netns.iter().flat_map(|netns| &netns.endpoints);
        past.networks = endpoints.map(|one| (one.network_name.clone(), one.network_id.clone())).collect();
        self.phase = Phase::Running(Running { pid: start.pid, netns: start.netns, ..Running::default() });
        Ok(())
    }

    /// Records that a start has failed: the container returns to the phase it was in before.
    pub fn fail(&mut self, error: String, exit_code: i32) -> Result<(), Illegal> {
        match self.phase {
            Phase::Created
            | Phase::Starting { .. }
            | Phase::Running(_)
            | Phase::Exited
            | Phase::Restarting { .. } => {}
            _ => return self.refuse("fail to start"),
        }
        self.phase = if self.past.started_at == 0 { Phase::Created } else { Phase::Exited };
        self.past.error = error;
        self.past.exit_code = exit_code;
        self.failures += 1;
        Ok(())
    }

    /// Takes in a process that was started before this engine and still runs.
    pub fn adopt(&mut self, found: Running, at: i64) -> Result<u64, Illegal> {
        let known = self.has_process();
        match self.phase {
            Phase::Created | Phase::Running(_) | Phase::Exited | Phase::Restarting { .. } => {}
            _ => return self.refuse("be found running"),
        }
        self.phase = Phase::Running(found);
        self.run += 1;
        if self.past.started_at == 0 || !known {
            self.past.started_at = at;
        }
        Ok(self.run)
    }

    /// Records that the container's processes are frozen.
    pub fn freeze(&mut self, pause: Pause) -> Result<(), Illegal> {
        match &mut self.phase {
            Phase::Running(running) if running.pause == Pause::No => running.pause = pause,
            _ => return self.refuse("be frozen"),
        }
        Ok(())
    }

    /// Records that the container's processes are thawed.
    pub fn thaw(&mut self) -> Result<(), Illegal> {
        match &mut self.phase {
            Phase::Running(running) => running.pause = Pause::No,
            _ => return self.refuse("be thawed"),
        }
        Ok(())
    }

    /// Records that the container is on other networks than before.
    pub fn reconnect(&mut self, netns: Netns) -> Result<(), Illegal> {
        match &mut self.phase {
            Phase::Running(running) => running.netns = Some(Arc::new(netns)),
            _ => return self.refuse("be connected"),
        }
        Ok(())
    }

    /// Records that a user wants the container not to run: its restart policy does not start it again.
    pub fn stop_by_hand(&mut self) {
        self.past.stopped_by_hand = true;
    }

    /// Records that a stop is in progress: the end of the run is reported as a stop.
    pub fn stopping(&mut self) -> Result<(), Illegal> {
        match &mut self.phase {
            Phase::Running(running) => running.stopping = true,
            _ => return self.refuse("be stopped"),
        }
        Ok(())
    }

    /// Records what a caller wants to do once the run has ended.
    pub fn want(&mut self, then: Then) -> Result<(), Illegal> {
        match &mut self.phase {
            Phase::Running(running) => running.then = running.then.max(then),
            _ => return self.refuse("be ended"),
        }
        Ok(())
    }

    /// Takes [`Self::want`] back: the run did not end.
    pub fn withdraw(&mut self, then: Then) {
        if let Phase::Running(running) = &mut self.phase
            && running.then == then
        {
            running.then = Then::Policy;
        }
    }

    /// Records that the container's process has ended. `restarts` says from the outcome whether the restart policy
    /// wants another run.
    pub fn end(
        &mut self,
        exit_code: i32,
        at: i64,
        restarts: impl FnOnce(&Past) -> bool,
    ) -> Result<End, Illegal> {
        let Phase::Running(running) = &mut self.phase else { return self.refuse("end") };
        let (then, stopped) = (running.then, running.stopping);
        let netns = running.netns.take();
        let past = &mut self.past;
        let ran = Duration::from_nanos(u64::try_from(at - past.started_at).unwrap_or(0));
        past.exit_code = exit_code;
        past.finished_at = at;
        let restarts = then == Then::Policy && restarts(past);
        let untold_shortage = past.memory == Memory::RanOut;
        self.ends += 1;
        self.phase = match then {
            Then::Remove => Phase::Ended,
            _ if restarts => self.next_start(),
            _ => Phase::Exited,
        };
        let kept = matches!(then, Then::Start | Then::Remove);
        Ok(End { ran, netns, restarts, untold_shortage, stopped, kept })
    }

    /// Records that a start by the restart policy has failed and the policy wants another one.
    pub fn retry(&mut self) -> Result<(), Illegal> {
        match self.phase {
            Phase::Created | Phase::Exited => self.phase = self.next_start(),
            _ => return self.refuse("be started again"),
        }
        Ok(())
    }

    fn next_start(&mut self) -> Phase {
        self.past.restart_count += 1;
        Phase::Restarting { held: false }
    }

    /// Records that the container is not restarted until the engine starts anew.
    pub fn hold(&mut self) -> Result<(), Illegal> {
        match &mut self.phase {
            Phase::Restarting { held } => *held = true,
            _ => return self.refuse("be held back"),
        }
        Ok(())
    }

    /// Records that a user stops a container that waits for its restart.
    pub fn cancel_restart(&mut self) -> Result<(), Illegal> {
        match self.phase {
            Phase::Restarting { .. } => self.phase = Phase::Exited,
            _ => return self.refuse("be kept from its restart"),
        }
        self.past.stopped_by_hand = true;
        Ok(())
    }

    /// Records that the removal of the container begins.
    pub fn remove(&mut self) -> Result<(), Illegal> {
        match self.phase {
            Phase::Starting { .. } | Phase::Running(_) | Phase::Removed => self.refuse("be removed"),
            _ => {
                self.phase = Phase::Removing;
                Ok(())
            }
        }
    }

    /// Records that what exists of the container is to be removed, in any phase: its creation failed, or an engine
    /// ended while it was created or removed.
    pub fn unmake(&mut self) {
        self.phase = Phase::Removing;
    }

    /// Records that the removal failed; the user can try again.
    pub fn fail_removal(&mut self) -> Result<(), Illegal> {
        match self.phase {
            Phase::Removing => self.phase = Phase::Dead,
            _ => return self.refuse("fail to be removed"),
        }
        Ok(())
    }

    /// Records that the container is removed.
    pub fn removed(&mut self) -> Result<(), Illegal> {
        match self.phase {
            Phase::Starting { .. } | Phase::Running(_) => return self.refuse("be gone"),
            _ => self.phase = Phase::Removed,
        }
        Ok(())
    }

    /// Takes in that memory ran out at a time. Returns whether an event and the record should say so now.
    pub fn take_shortage(&mut self, at: i64) -> bool {
        let past = &mut self.past;
        if at < past.begun_at {
            // Memory ran out in the run before this one.
            return false;
        }
        // Memory may have run out before the start was taken in. Then the end of the run reports it.
        let started = past.started_at >= past.begun_at;
        let told = started && !matches!(self.phase, Phase::Removing | Phase::Removed | Phase::Dead);
        if told || past.memory == Memory::RanOutTold {
            past.memory = Memory::RanOutTold;
        } else {
            past.memory = Memory::RanOut;
        }
        told
    }

    /// The life of a removed container whose last run ended with this exit code.
    pub fn removed_after(exit_code: i32) -> Life {
        let past = Past { exit_code, ..Past::default() };
        Life { phase: Phase::Removed, past, ..Life::default() }
    }

    fn refuse<T>(&self, verb: &'static str) -> Result<T, Illegal> {
        Err(Illegal { status: self.status().name(), verb })
    }
}

#[cfg(test)]
impl Life {
    /// A life in a given phase, for tests.
    pub(crate) fn at(phase: Phase, past: Past) -> Life {
        Life { phase, past, ..Life::default() }
    }
}

#[cfg(test)]
mod tests;
