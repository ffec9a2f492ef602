//! Tests of the transitions and their effects.

use super::*;

fn in_phase(phase: Phase) -> Life {
    Life { phase, ..Life::default() }
}

fn running() -> Phase {
    Phase::Running(Running::default())
}

fn start(at: i64) -> Started {
    Started { pid: 7, at, by: By::Hand, netns: None }
}

/// A transition with the phases in which it is allowed; all other phases must refuse it.
type Move = (&'static str, fn(&mut Life) -> Result<(), Illegal>, &'static [&'static str]);

const MOVES: &[Move] = &[
    ("begin", |life| life.begin(1).map(drop), &["created", "exited", "restarting"]),
    ("started", |life| life.started(start(2)), &["starting"]),
    (
        "fail",
        |life| life.fail(String::new(), 128),
        &["created", "starting", "running", "exited", "restarting"],
    ),
    (
        "adopt",
        |life| life.adopt(Running::default(), 1).map(drop),
        &["created", "running", "exited", "restarting"],
    ),
    ("freeze", |life| life.freeze(Pause::ByHand), &["running"]),
    ("thaw", Life::thaw, &["running"]),
    ("want", |life| life.want(Then::Start), &["running"]),
    ("end", |life| life.end(0, 3, |_| false).map(drop), &["running"]),
    ("retry", Life::retry, &["created", "exited"]),
    ("hold", Life::hold, &["restarting"]),
    ("cancel_restart", Life::cancel_restart, &["restarting"]),
    ("remove", Life::remove, &["created", "exited", "restarting", "ended", "removing", "dead"]),
    ("fail_removal", Life::fail_removal, &["removing"]),
    ("removed", Life::removed, &["created", "exited", "restarting", "ended", "removing", "dead", "removed"]),
];

#[test]
fn what_the_drawing_does_not_have_is_refused() {
    let phases = [
        ("created", Phase::Created),
        ("starting", Phase::Starting { from: Rest::Created }),
        ("running", running()),
        ("exited", Phase::Exited),
        ("restarting", Phase::Restarting { held: false }),
        ("ended", Phase::Ended),
        ("removing", Phase::Removing),
        ("dead", Phase::Dead),
        ("removed", Phase::Removed),
    ];
    for (verb, transition, legal) in MOVES {
        for (name, phase) in &phases {
            let mut life = in_phase(phase.clone());
            let made = transition(&mut life);
            assert_eq!(made.is_ok(), legal.contains(name), "{verb} from {name}");
            assert!(
                made.is_ok() || life.phase == *phase,
                "{verb} from {name} is refused and changes nothing"
            );
        }
    }
}

#[test]
fn a_start_is_told_as_what_was_before_until_its_process_runs() {
    let mut life = in_phase(Phase::Restarting { held: false });
    let run = life.begin(5).expect("at rest");
    assert_eq!((run, life.status(), life.is_attachable()), (1, Status::Restarting, true));
    life.started(start(6)).expect("begun");
    assert_eq!((life.status(), life.past().started_at), (Status::Running, 6));
    assert!(life.is_in(run) && !life.is_in(run + 1));
}

#[test]
fn a_failed_start_is_as_it_was_before() {
    let mut life = Life::default();
    life.fail("no such file".to_owned(), 127).expect("at rest");
    assert_eq!((life.status(), life.past().exit_code, life.failures()), (Status::Created, 127, 1));
    let mut life = in_phase(Phase::Exited);
    life.past.started_at = 1;
    life.begin(2).and_then(|_| life.fail(String::new(), 128)).expect("at rest");
    assert_eq!(life.status(), Status::Exited);
}

#[test]
fn the_policy_decides_only_where_nobody_wants_something_else() {
    for (then, wants, status, kept) in [
        (Then::Policy, true, Status::Restarting, false),
        (Then::Policy, false, Status::Exited, false),
        (Then::Boot, true, Status::Exited, false),
        (Then::Start, true, Status::Exited, true),
        (Then::Remove, true, Status::Exited, true),
    ] {
        let mut life = in_phase(running());
        life.want(then).expect("running");
        let end = life.end(1, 9, |_| wants).expect("running");
        assert_eq!((life.status(), end.kept), (status, kept), "{then:?} {wants}");
        assert_eq!(life.past().restart_count, u32::from(end.restarts));
        assert_eq!(life.is_going(), then == Then::Remove);
    }
}

#[test]
fn a_weaker_wish_does_not_take_a_stronger_ones_place() {
    let mut life = in_phase(running());
    life.want(Then::Remove).and_then(|()| life.want(Then::Start)).expect("running");
    assert!(life.is_going());
    life.withdraw(Then::Start);
    assert!(life.is_going(), "it is the removal that counts");
    life.withdraw(Then::Remove);
    assert!(!life.is_going());
}

#[test]
fn want_of_memory_belongs_to_the_run_in_which_it_was() {
    for (phase, started_at, at, killed, told) in [
        (running(), 101, 99, false, false),
        (running(), 105, 107, true, true),
        // The shortage was reported before the start was taken in.
        (Phase::Starting { from: Rest::Created }, 0, 103, true, false),
        (Phase::Starting { from: Rest::Exited }, 50, 103, true, false),
        (Phase::Exited, 105, 103, true, true),
        (Phase::Restarting { held: false }, 105, 106, true, true),
    ] {
        let mut life = in_phase(phase.clone());
        (life.past.begun_at, life.past.started_at) = (100, started_at);
        let outcome = (life.take_shortage(at), life.past.memory != Memory::Sufficed);
        assert_eq!(outcome, (told, killed), "{phase:?} {started_at} {at}");
    }
}
