//! Converts between a life and its record.

use super::{Life, Memory, Past, Pause, Phase, Rest, Running};
use crate::record::stored::{PhaseRecord, RunningRecord, StateRecord, Unreadable};

impl Life {
    /// Restores a life from its record.
    pub fn restore(record: StateRecord) -> Result<Life, Unreadable> {
        let phase = record.phase.as_ref().map(phase_of).ok_or(Unreadable::NoPhase)?;
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

    /// What the record says of this life.
    pub fn recorded(&self) -> StateRecord {
        let past = &self.past;
        StateRecord {
            phase: Some(match &self.phase {
                Phase::Created | Phase::Starting { from: Rest::Created } => PhaseRecord::Created(()),
                Phase::Running(running) => PhaseRecord::Running(RunningRecord {
                    pid: running.pid,
                    paused: running.pause == Pause::ByHand,
                }),
                // The container's own record says whether a removal continues.
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

fn running(pid: u32, paused: bool) -> Phase {
    let pause = if paused { Pause::ByHand } else { Pause::No };
    Phase::Running(Running { pid, pause, ..Running::default() })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use prost::Message;

    use super::*;

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
    fn a_state_that_says_nothing_is_refused() {
        assert_eq!(Life::restore(StateRecord::default()).err(), Some(Unreadable::NoPhase));
    }
}
