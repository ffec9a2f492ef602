//! What is written down of a life, and a life as it was written down.

use gantry_proto::gantry::engine::v1::Status;

use super::{Life, Memory, Past, Pause, Phase, Rest, Running};
use crate::record::{PhaseRecord, RunningRecord, STATE_VERSION, StateRecord};

/// A state that this engine cannot read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A later engine has written it.
    #[error("state of version {0}, where {STATE_VERSION} is the last that is known")]
    Version(u32),
    /// It does not say what the container does.
    #[error("state without a phase")]
    NoPhase,
}

impl Life {
    /// A life that begins where it was written down.
    pub fn restore(record: StateRecord) -> Result<Life, Unreadable> {
        let phase = match (record.version, &record.phase) {
            (0, _) => of_version_0(record.status(), record.pid),
            (STATE_VERSION, Some(phase)) => phase_of(phase),
            (STATE_VERSION, None) => return Err(Unreadable::NoPhase),
            (later, _) => return Err(Unreadable::Version(later)),
        };
        let past = Past {
            exit_code: record.exit_code,
            error: record.error,
            begun_at: record.started_at,
            started_at: record.started_at,
            finished_at: record.finished_at,
            restart_count: record.restart_count,
            stopped_by_hand: record.stopped_by_hand,
            networks: record.networks,
            memory: if record.oom_killed { Memory::RanOutTold } else { Memory::Sufficed },
        };
        Ok(Life { phase, past, ..Life::default() })
    }

    /// What is written down of it.
    pub fn recorded(&self) -> StateRecord {
        let past = &self.past;
        StateRecord {
            version: STATE_VERSION,
            phase: Some(match &self.phase {
                Phase::Created | Phase::Starting { from: Rest::Created } => PhaseRecord::Created(()),
                Phase::Running(running) => PhaseRecord::Running(RunningRecord {
                    pid: running.pid,
                    paused: running.pause == Pause::ByHand,
                }),
                // Whether the removal goes on is in the container's record.
                Phase::Exited | Phase::Ended | Phase::Starting { from: Rest::Exited } => {
                    PhaseRecord::Exited(())
                }
                Phase::Restarting { .. } | Phase::Starting { from: Rest::Restarting } => {
                    PhaseRecord::Restarting(())
                }
                Phase::Removing | Phase::Removed => PhaseRecord::Removing(()),
                Phase::Dead => PhaseRecord::Dead(()),
            }),
            exit_code: past.exit_code,
            error: past.error.clone(),
            oom_killed: past.memory != Memory::Sufficed,
            started_at: past.started_at,
            finished_at: past.finished_at,
            restart_count: past.restart_count,
            stopped_by_hand: past.stopped_by_hand,
            networks: past.networks.clone(),
            ..StateRecord::default()
        }
    }
}

fn phase_of(record: &PhaseRecord) -> Phase {
    match record {
        PhaseRecord::Created(()) => Phase::Created,
        PhaseRecord::Running(RunningRecord { pid, paused }) => running(*pid, *paused),
        PhaseRecord::Exited(()) => Phase::Exited,
        PhaseRecord::Restarting(()) => Phase::Restarting { held: false },
        PhaseRecord::Removing(()) => Phase::Removing,
        PhaseRecord::Dead(()) => Phase::Dead,
    }
}

/// Version 0 wrote Docker's word, and the process id beside it.
fn of_version_0(status: Status, pid: u32) -> Phase {
    match status {
        Status::Created => Phase::Created,
        Status::Running => running(pid, false),
        Status::Paused => running(pid, true),
        Status::Restarting => Phase::Restarting { held: false },
        Status::Removing => Phase::Removing,
        Status::Exited => Phase::Exited,
        Status::Dead => Phase::Dead,
    }
}

fn running(pid: u32, paused: bool) -> Phase {
    let pause = if paused { Pause::ByHand } else { Pause::No };
    Phase::Running(Running { pid, pause, ..Running::default() })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use prost::Message;

    use super::*;

    /// A state as version 0 encoded it, from Docker's word for it on: paused, with every field set.
    const VERSION_0: &str = concat!(
        "080210e7241889012204626f6f6d2801308180a8b1e39fe7cb17388280a8b1e39fe7cb1740034801",
        "520c0a0662726964676512026231",
    );

    fn bytes(hex: &str) -> Vec<u8> {
        let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
        (0..hex.len()).step_by(2).map(digits).collect()
    }

    fn past() -> Past {
        Past {
            exit_code: 137,
            error: "boom".to_owned(),
            begun_at: 1_700_000_000_000_000_001,
            started_at: 1_700_000_000_000_000_001,
            finished_at: 1_700_000_000_000_000_002,
            restart_count: 3,
            stopped_by_hand: true,
            networks: BTreeMap::from([("bridge".to_owned(), "b1".to_owned())]),
            memory: Memory::RanOutTold,
        }
    }

    #[test]
    fn a_state_without_a_version_is_read() {
        let record = StateRecord::decode(&*bytes(VERSION_0)).expect("a state");
        let life = Life::restore(record.clone()).expect("readable");
        assert_eq!(*life.phase(), running(4711, true));
        assert_eq!(*life.past(), past());
        for (status, phase) in [
            (Status::Created, Phase::Created),
            (Status::Running, running(4711, false)),
            (Status::Restarting, Phase::Restarting { held: false }),
            (Status::Removing, Phase::Removing),
            (Status::Exited, Phase::Exited),
            (Status::Dead, Phase::Dead),
        ] {
            let record = StateRecord { status: status.into(), ..record.clone() };
            assert_eq!(*Life::restore(record).expect("readable").phase(), phase, "{status:?}");
        }
        // What was never written is what a container begins as.
        assert_eq!(*Life::restore(StateRecord::default()).expect("readable").phase(), Phase::Created);
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (phase, again) in [
            (Phase::Created, Phase::Created),
            (Phase::Starting { from: Rest::Restarting }, Phase::Restarting { held: false }),
            (running(7, true), running(7, true)),
            (Phase::Exited, Phase::Exited),
            (Phase::Ended, Phase::Exited),
            (Phase::Restarting { held: true }, Phase::Restarting { held: false }),
            (Phase::Removing, Phase::Removing),
            (Phase::Dead, Phase::Dead),
        ] {
            let life = Life { phase, past: past(), ..Life::default() };
            let written = StateRecord::decode(&*life.recorded().encode_to_vec()).expect("a state");
            let read = Life::restore(written).expect("readable");
            assert_eq!((read.phase(), read.past()), (&again, life.past()));
        }
    }

    #[test]
    fn frozen_for_an_image_is_written_as_running() {
        let frozen = Running { pid: 7, pause: Pause::ForImage, ..Running::default() };
        let life = Life { phase: Phase::Running(frozen), ..Life::default() };
        assert_eq!(*Life::restore(life.recorded()).expect("readable").phase(), running(7, false));
    }

    #[test]
    fn what_a_later_engine_has_written_is_refused() {
        let later = StateRecord { version: STATE_VERSION + 1, ..StateRecord::default() };
        assert_eq!(Life::restore(later).err(), Some(Unreadable::Version(STATE_VERSION + 1)));
    }
}
