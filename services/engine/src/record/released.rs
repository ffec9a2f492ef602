//! Reads what earlier releases have written and migrates it to the present schema.
//!
//! Schema 1 is that of release 0.1.0. Its states have Docker's word for what a container does, and the process beside
//! it. Engines between 0.1.0 and schema 2 wrote phases already, with a version in each state. The other records of
//! schema 1 have the field numbers of today and are read unchanged.

use std::collections::BTreeMap;

use gantry_disk::{Batch, Database, Migration};

use super::stored::{PhaseRecord, RunningRecord, StateRecord, Unreadable};
use crate::store::STATES;

/// The migrations, each from one schema to the next.
pub const MIGRATIONS: &[Migration] = &[states_have_phases];

/// Migrates states from Docker's words to phases. The result is committed together with the new schema's number, so
/// that an interrupted migration leaves schema 1.
fn states_have_phases(
    database: &Database,
    batch: &mut Batch,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let now = database.table(STATES);
    for (id, state) in database.table::<String, State1>(STATES).scan_all()? {
        batch.put(&now, &id, &StateRecord::try_from(state)?);
    }
    Ok(())
}

/// Docker's words for a container's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
enum Word {
    Created = 0,
    Running = 1,
    Paused = 2,
    Restarting = 3,
    Removing = 4,
    Exited = 5,
    Dead = 6,
}

/// A state of schema 1.
#[derive(Clone, PartialEq, prost::Message)]
struct State1 {
    /// In a state without a version: Docker's word.
    #[prost(enumeration = "Word", tag = "1")]
    word: i32,
    /// In a state without a version: process id of the first process, 0 without a process.
    #[prost(uint32, tag = "2")]
    pid: u32,
    #[prost(int32, tag = "3")]
    exit_code: i32,
    #[prost(string, tag = "4")]
    error: String,
    #[prost(bool, tag = "5")]
    oom_killed: bool,
    #[prost(int64, tag = "6")]
    started_at: i64,
    #[prost(int64, tag = "7")]
    finished_at: i64,
    #[prost(uint32, tag = "8")]
    restart_count: u32,
    #[prost(bool, tag = "9")]
    stopped_by_hand: bool,
    #[prost(btree_map = "string, string", tag = "10")]
    networks: BTreeMap<String, String>,
    /// Version of the state; 0.1.0 wrote none.
    #[prost(uint32, tag = "11")]
    version: u32,
    /// In a state with a version: the phase.
    #[prost(oneof = "PhaseRecord", tags = "12, 13, 14, 15, 16, 17")]
    phase: Option<PhaseRecord>,
}

impl TryFrom<State1> for StateRecord {
    type Error = Unreadable;

    fn try_from(state: State1) -> Result<Self, Unreadable> {
        let running = |paused| PhaseRecord::Running(RunningRecord { pid: state.pid, paused });
        let phase = match (state.version, state.phase) {
            (0, _) => match Word::try_from(state.word).map_err(|_| Unreadable::NoPhase)? {
                Word::Created => PhaseRecord::Created(()),
                Word::Running => running(false),
                Word::Paused => running(true),
                Word::Restarting => PhaseRecord::Restarting(()),
                Word::Removing => PhaseRecord::Removing(()),
                Word::Exited => PhaseRecord::Exited(()),
                Word::Dead => PhaseRecord::Dead(()),
            },
            (1, Some(phase)) => phase,
            (1, None) => return Err(Unreadable::NoPhase),
            (later, _) => return Err(Unreadable::Version(later)),
        };
        Ok(StateRecord {
            phase: Some(phase),
            exit_code: state.exit_code,
            error: state.error,
            oom_killed: state.oom_killed,
            started_at: state.started_at,
            finished_at: state.finished_at,
            restart_count: state.restart_count,
            stopped_by_hand: state.stopped_by_hand,
            networks: state.networks,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(state: State1) -> Result<Option<PhaseRecord>, Unreadable> {
        StateRecord::try_from(state).map(|state| state.phase)
    }

    #[test]
    fn a_state_without_a_version_says_dockers_word() {
        for (word, phase) in [
            (Word::Created, PhaseRecord::Created(())),
            (Word::Running, PhaseRecord::Running(RunningRecord { pid: 7, paused: false })),
            (Word::Paused, PhaseRecord::Running(RunningRecord { pid: 7, paused: true })),
            (Word::Restarting, PhaseRecord::Restarting(())),
            (Word::Removing, PhaseRecord::Removing(())),
            (Word::Exited, PhaseRecord::Exited(())),
            (Word::Dead, PhaseRecord::Dead(())),
        ] {
            let state = State1 { word: word.into(), pid: 7, ..State1::default() };
            assert_eq!(read(state), Ok(Some(phase)), "{word:?}");
        }
        assert_eq!(read(State1 { word: 7, ..State1::default() }), Err(Unreadable::NoPhase));
    }

    #[test]
    fn a_state_with_a_version_says_its_phase() {
        let phase = PhaseRecord::Running(RunningRecord { pid: 7, paused: true });
        let state = State1 { version: 1, phase: Some(phase.clone()), ..State1::default() };
        assert_eq!(read(state), Ok(Some(phase)));
        assert_eq!(read(State1 { version: 1, ..State1::default() }), Err(Unreadable::NoPhase));
        assert_eq!(read(State1 { version: 2, ..State1::default() }), Err(Unreadable::Version(2)));
    }
}
