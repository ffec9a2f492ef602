//! The sweep over all failpoints (`gantry-failpoint`) in the sources: an operation passes each of them while its
//! service is killed there, fails there, or is delayed.
//!
//! Afterwards the operation has succeeded or has reported an error, it can be repeated, another container has not
//! noticed, and nothing is left over.
//!
//! No list says which operation passes which points: in a first round, each operation runs with a delay at all
//! points, which shows it. A point that no operation passes fails the test: give it an operation in [`operations`],
//! or a reason in [`UNREACHED`].

mod operations;
mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use gantry_tests::points::{self, Point};

use operations::{OPERATIONS, Operation};
use stage::Stage;

/// Points that no operation passes, each with the reason.
const UNREACHED: &[(&str, &str)] = &[];

/// Known failures: point, order, a part of the error, and the reason.
const KNOWN: &[(&str, &str, &str, &str)] = &[];

/// Points of background work, which any operation may pass by chance, and the operation that surely leads to them.
const BEHIND: &[(&str, &str)] = &[("control.collect.", "rmi"), ("content.delete.", "rmi")];

/// How many nodes are used at a time.
const NODES: usize = 2;

/// The order for every point in the first round.
const DELAY: &str = "delay 30 always";

/// One trial: an operation with an order at a point.
#[derive(Debug, Clone)]
struct Trial {
    operation: &'static Operation,
    point: Point,
    order: &'static str,
}

#[test]
fn every_point_is_killed_fails_and_takes_long() {
    let only = std::env::var("SWEEP").unwrap_or_default();
    let all = points::all();
    let (passed, mut complaints) = delay_all(&all);
    for point in &all {
        let reason = UNREACHED.iter().any(|(name, _)| *name == point.name);
        match (passed.contains_key(&point.name), reason) {
            (false, false) => complaints.push(format!("{}: no operation passes it", point.name)),
            (true, true) => complaints.push(format!("{}: it is passed all the same", point.name)),
            _ => {}
        }
    }
    let gone = |name: &str| !all.iter().any(|point| point.name == name);
    let listed = UNREACHED.iter().map(|(name, _)| name).chain(KNOWN.iter().map(|(name, ..)| name));
    complaints.extend(listed.filter(|name| gone(name)).map(|name| format!("{name}: there is no such point")));
    let mut trials: Vec<Trial> = all
        .iter()
        .filter_map(|point| passed.get(&point.name).map(|operation| (point, *operation)))
        .flat_map(|(point, operation)| {
            let orders = if point.fallible { &["kill", "error"][..] } else { &["kill"] };
            orders.iter().map(move |order| Trial { operation, point: point.clone(), order })
        })
        .filter(|trial| trial.point.name.contains(&only))
        .collect();
    trials.sort_by_key(|trial| trial.operation.name);
    let count = trials.len();
    let started = Instant::now();
    complaints.extend(try_all(trials));
    eprintln!("{count} trials in {:?}", started.elapsed());
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// Runs all operations with a delay at all points. Returns the points that each operation passes, and the failures. A
/// point that several operations pass belongs to the first one.
fn delay_all(all: &[Point]) -> (BTreeMap<String, &'static Operation>, Vec<String>) {
    let (mut passed, mut complaints) = (BTreeMap::new(), Vec::new());
    let mut stage = Stage::new();
    for operation in OPERATIONS {
        let result = guarded(|| {
            stage.prepare(operation)?;
            for point in all {
                stage.orders().give(&point.name, DELAY);
            }
            let outcome = stage.run(operation);
            let reached: BTreeSet<String> = stage.all_reached().into_iter().collect();
            stage.orders().withdraw();
            if outcome.code != 0 {
                return Err(format!("with delays: {outcome:#?}"));
            }
            stage.check(operation)?;
            stage.clear(operation)?;
            Ok(reached)
        });
        match result {
            Ok(reached) => {
                let own = |point: &String| {
                    let leads = BEHIND.iter().find(|(prefix, _)| point.starts_with(prefix));
                    leads.is_none_or(|(_, leads)| *leads == operation.name)
                };
                for point in reached.into_iter().filter(own) {
                    passed.entry(point).or_insert(operation);
                }
            }
            Err(complaint) => {
                complaints.push(format!("{}: {complaint}", operation.name));
                std::mem::replace(&mut stage, Stage::new()).abandon();
            }
        }
    }
    stage.end();
    (passed, complaints)
}

/// Runs all trials on several nodes. Returns the failures.
fn try_all(trials: Vec<Trial>) -> Vec<String> {
    let share = |node: usize| trials.iter().skip(node).step_by(NODES).cloned().collect::<Vec<_>>();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..NODES).map(|node| scope.spawn(move || try_some(&share(node)))).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("complaints are collected")).collect()
    })
}

fn try_some(trials: &[Trial]) -> Vec<String> {
    let mut complaints = Vec::new();
    if trials.is_empty() {
        return complaints;
    }
    let mut stage = Stage::new();
    for Trial { operation, point, order } in trials {
        let started = Instant::now();
        let result = guarded(|| try_one(&mut stage, operation, point, order));
        let took = started.elapsed();
        let what = format!("{} {order} by {}", point.name, operation.name);
        let Err(complaint) = result else {
            eprintln!("{what}: {took:?}");
            continue;
        };
        let known = KNOWN.iter().find(|(name, known, part, _)| {
            (*name, *known) == (point.name.as_str(), *order) && complaint.contains(part)
        });
        match known {
            Some((.., how)) => eprintln!("{what}: known: {how}"),
            None => {
                eprintln!("{what}: FAILED after {took:?}");
                complaints.push(format!("{what}: {complaint}\n{}", stage.log()));
            }
        }
        // A broken node must not fail the next trial.
        std::mem::replace(&mut stage, Stage::new()).abandon();
    }
    if let Err(complaint) = guarded(|| {
        stage.end();
        Ok(())
    }) {
        complaints.push(complaint);
    }
    complaints
}

fn try_one(stage: &mut Stage, operation: &Operation, point: &Point, order: &str) -> Result<(), String> {
    stage.prepare(operation)?;
    let before = stage.pid_of(point.service());
    stage.orders().give(&point.name, order);
    let outcome = stage.run(operation);
    let deadline = Instant::now() + Duration::from_secs(10);
    while !stage.orders().was_reached(&point.name) {
        if Instant::now() > deadline {
            return Err(format!("it was not passed: {outcome:#?}"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    if let Some(before) = before.filter(|_| order == "kill") {
        stage.node().wait_for_successor(point.service(), before);
    }
    stage::is_clear(&outcome)?;
    stage.repeat(operation)?;
    stage.check(operation)?;
    stage.clear(operation)
}

/// Turns a panic into an error, so that one trial does not end the others.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Err(text.unwrap_or_else(|| "a panic without words".to_owned()))
    })
}
