//! The life of a container: what it does now, and what is known of what it did.
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
//! A start that fails, at whatever point, leads back to `Created`, or to `Exited` where the container has ever run. An engine
//! that starts *adopts* what it finds running, whatever was written down of it.
//!
//! A transition is a method that refuses whatever the drawing does not have. It is made by whoever has the container's turn;
//! only that memory ran out, and that somebody asks for an end, is taken in at any time. What is written down of a life is
//! in [`recorded`]: a start that is cut short was none.

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

/// What can be seen of a container and waited for.
#[derive(Clone, Debug, Default)]
pub struct Life {
    phase: Phase,
    past: Past,
    run: u64,
    ends: u64,
    failures: u64,
    /// Health, if there is a check and it was started.
    pub health: Option<Health>,
}

/// A start that has come about.
pub struct Started {
    /// Of the first process.
    pub pid: u32,
    /// When.
    pub at: i64,
    /// Who started it.
    pub by: By,
    /// The network that it has.
    pub netns: Option<Arc<Netns>>,
}

/// How a run ended.
#[derive(Debug, PartialEq)]
pub struct End {
    /// How long it was.
    pub ran: Duration,
    /// What it had to do with the network.
    pub netns: Option<Arc<Netns>>,
    /// Its policy starts it again.
    pub restarts: bool,
    /// It ran out of memory, which nobody was told yet.
    pub untold_shortage: bool,
    /// It was stopped by hand.
    pub stopped: bool,
    /// Whoever ended it goes on with it: it is neither removed nor started by itself.
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
    /// What it does now.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// What is known of its runs.
    pub fn past(&self) -> &Past {
        &self.past
    }

    /// Counts runs from the engine's start: what belongs to an earlier run does not touch a later one.
    pub fn run(&self) -> u64 {
        self.run
    }

    /// Counts runs that have ended, for those who wait for the next end.
    pub fn ends(&self) -> u64 {
        self.ends
    }

    /// Counts starts that have failed, for those who wait for one.
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

    /// What it has while it runs, frozen or not.
    pub fn running(&self) -> Option<&Running> {
        match &self.phase {
            Phase::Running(running) => Some(running),
            _ => None,
        }
    }

    /// Whether there is a process (frozen ones count).
    pub fn has_process(&self) -> bool {
        self.running().is_some()
    }

    /// Whether a run goes on.
    pub fn is_in(&self, run: u64) -> bool {
        self.run == run && self.has_process()
    }

    /// Whether its processes run, as far as is written down.
    pub fn is_recorded_as_running(&self) -> bool {
        self.running().is_some_and(|running| running.pause != Pause::ByHand)
    }

    /// Whether its shim takes attachments.
    pub fn is_attachable(&self) -> bool {
        matches!(self.phase, Phase::Starting { .. } | Phase::Running(_))
    }

    /// Whether it is being removed, or was.
    pub fn is_going(&self) -> bool {
        matches!(
            self.phase,
            Phase::Running(Running { then: Then::Remove, .. })
                | Phase::Ended
                | Phase::Removing
                | Phase::Removed
        )
    }

    /// Whether it is no more.
    pub fn is_removed(&self) -> bool {
        self.phase == Phase::Removed
    }

    /// Whether it waits for its policy's next start.
    pub fn is_due(&self) -> bool {
        self.phase == Phase::Restarting { held: false }
    }

    /// Its network, while it runs.
    pub fn netns(&self) -> Option<&Arc<Netns>> {
        self.running()?.netns.as_ref()
    }

    /// The id of a network that it is on by `name`: as it was asked for, else as its last run found it.
    pub fn network_id<'a>(&'a self, name: &str, asked: &'a EndpointSettings) -> &'a str {
        match asked.network_id.as_str() {
            "" => self.past.networks.get(name).map_or("", String::as_str),
            given => given,
        }
    }

    /// Its task is made: a run begins. Returns the run's number.
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

    /// Its process runs.
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

    /// A start, however far it came, is undone: it is as it was before.
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

    /// A process is found running that was started before the engine was.
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

    /// Its processes are frozen.
    pub fn freeze(&mut self, pause: Pause) -> Result<(), Illegal> {
        match &mut self.phase {
            Phase::Running(running) if running.pause == Pause::No => running.pause = pause,
            _ => return self.refuse("be frozen"),
        }
        Ok(())
    }

    /// Its processes run on.
    pub fn thaw(&mut self) -> Result<(), Illegal> {
        match &mut self.phase {
            Phase::Running(running) => running.pause = Pause::No,
            _ => return self.refuse("be thawed"),
        }
        Ok(())
    }

    /// It is on other networks than before.
    pub fn reconnect(&mut self, netns: Netns) -> Result<(), Illegal> {
        match &mut self.phase {
            Phase::Running(running) => running.netns = Some(Arc::new(netns)),
            _ => return self.refuse("be connected"),
        }
        Ok(())
    }

    /// A user wants it not to run: its policy does not start it again.
    pub fn stop_by_hand(&mut self) {
        self.past.stopped_by_hand = true;
    }

    /// It is being stopped: its end is told as that.
    pub fn stopping(&mut self) -> Result<(), Illegal> {
        match &mut self.phase {
            Phase::Running(running) => running.stopping = true,
            _ => return self.refuse("be stopped"),
        }
        Ok(())
    }

    /// Somebody ends its run in order to do something with it.
    pub fn want(&mut self, then: Then) -> Result<(), Illegal> {
        match &mut self.phase {
            Phase::Running(running) => running.then = running.then.max(then),
            _ => return self.refuse("be ended"),
        }
        Ok(())
    }

    /// It did not end: whoever wanted something of it gives that up.
    pub fn withdraw(&mut self, then: Then) {
        if let Phase::Running(running) = &mut self.phase
            && running.then == then
        {
            running.then = Then::Policy;
        }
    }

    /// Its process has ended. `restarts` says for what is known of it whether its policy wants it to run again.
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

    /// A start by its policy has failed, and its policy wants another one.
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

    /// It is not started again before the engine comes up anew.
    pub fn hold(&mut self) -> Result<(), Illegal> {
        match &mut self.phase {
            Phase::Restarting { held } => *held = true,
            _ => return self.refuse("be held back"),
        }
        Ok(())
    }

    /// A user stops it by keeping its policy from starting it.
    pub fn cancel_restart(&mut self) -> Result<(), Illegal> {
        match self.phase {
            Phase::Restarting { .. } => self.phase = Phase::Exited,
            _ => return self.refuse("be kept from its restart"),
        }
        self.past.stopped_by_hand = true;
        Ok(())
    }

    /// It is being unmade.
    pub fn remove(&mut self) -> Result<(), Illegal> {
        match self.phase {
            Phase::Starting { .. } | Phase::Running(_) | Phase::Removed => self.refuse("be removed"),
            _ => {
                self.phase = Phase::Removing;
                Ok(())
            }
        }
    }

    /// Its making failed, or an engine has ended while it was made or unmade: whatever was written down of it, the rest of
    /// it goes.
    pub fn unmake(&mut self) {
        self.phase = Phase::Removing;
    }

    /// It could not be unmade: its user can try again.
    pub fn fail_removal(&mut self) -> Result<(), Illegal> {
        match self.phase {
            Phase::Removing => self.phase = Phase::Dead,
            _ => return self.refuse("fail to be removed"),
        }
        Ok(())
    }

    /// It is no more.
    pub fn removed(&mut self) -> Result<(), Illegal> {
        match self.phase {
            Phase::Starting { .. } | Phase::Running(_) => return self.refuse("be gone"),
            _ => self.phase = Phase::Removed,
        }
        Ok(())
    }

    /// Takes in that memory ran out at a time; `true` when that is to be told and written down now.
    pub fn take_shortage(&mut self, at: i64) -> bool {
        let past = &mut self.past;
        if at < past.begun_at {
            // It was the run before this one.
            return false;
        }
        // It may have come about before the start of the run was taken in: then its end tells.
        let started = past.started_at >= past.begun_at;
        let told = started && !matches!(self.phase, Phase::Removing | Phase::Removed | Phase::Dead);
        if told || past.memory == Memory::RanOutTold {
            past.memory = Memory::RanOutTold;
        } else {
            past.memory = Memory::RanOut;
        }
        told
    }

    /// The life of a container that is no more, and had ended so.
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
    /// A life that is in a phase already, for tests.
    pub(crate) fn at(phase: Phase, past: Past) -> Life {
        Life { phase, past, ..Life::default() }
    }
}

#[cfg(test)]
mod tests;
