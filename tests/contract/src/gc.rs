//! Garbage collection: the stores and the collector.

mod collections;
mod stock;
mod sweeps;

use gantry_api::gc::{Collector, Resource};
use gantry_rpc::{Code, Coded};
use gantry_types::{Labels, Namespace, gc};

pub use collections::*;
pub use stock::{Blobs, Stock};
pub use sweeps::*;

/// Tests of `gantry_api::gc::Collector` on a [`Stock`](gc::Stock) whose resources can be collected.
#[macro_export]
macro_rules! gc {
    ($world:expr) => {
        $crate::suite!(
            gc,
            $world,
            [
                a_scan_tells_what_there_is_and_what_it_keeps,
                what_is_unreached_goes_once,
                what_is_made_or_touched_since_the_mark_stays,
                what_is_touched_while_the_sweep_runs_stays,
                an_older_mark_sweeps_nothing,
                what_is_of_no_kind_is_left_alone,
                namespaces_are_swept_apart,
            ]
        );
    };
}

/// Tests of `gantry_api::gc::Collector` on a [`Stock`](gc::Stock) of roots, which are never collected.
#[macro_export]
macro_rules! gc_roots {
    ($world:expr) => {
        $crate::suite!(gc, $world, [roots_are_scanned_and_never_swept, what_is_of_no_kind_is_left_alone,]);
    };
}

/// Tests of `gantry_api::gc::{Collect, Hold}` with leases and a store, on [`Collected`](gc::Collected).
#[macro_export]
macro_rules! collections {
    ($world:expr) => {
        $crate::suite!(
            gc,
            $world,
            [
                what_nothing_keeps_goes_and_what_is_referred_to_stays,
                leases_keep_deeply_or_flatly,
                a_lease_that_has_expired_keeps_nothing,
                what_is_held_is_there,
                a_lease_that_is_made_while_collecting_keeps,
                no_acknowledged_reference_dangles,
                namespaces_are_collected_apart,
            ]
        );
    };
}

/// A time in the past.
const PAST: &str = "2001-01-01T00:00:00Z";

fn moby() -> Namespace {
    Namespace::moby()
}

fn other() -> Namespace {
    "other".parse().expect("an identifier")
}

/// A label that refers to a resource.
fn keeps(resource: &Resource) -> (String, String) {
    let label = match resource.kind.split_once('/') {
        Some((_, snapshotter)) => format!("containerd.io/gc.ref.snapshot.{snapshotter}/kept"),
        None if resource.kind == "images" => "containerd.io/gc.ref.image.kept".to_owned(),
        None => "containerd.io/gc.ref.content.kept".to_owned(),
    };
    (label, resource.key.clone())
}

fn rooted() -> (String, String) {
    (gc::ROOT.to_owned(), "now".to_owned())
}

#[track_caller]
fn refused<T, E: Coded>(outcome: Result<T, E>, code: Code) {
    match outcome {
        Ok(_) => panic!("it did not fail, but should have with {code:?}"),
        Err(error) => assert_eq!(error.code(), code, "{error}"),
    }
}

/// The resources of the store, sorted.
async fn there<C: Collector>(collector: &C, namespace: &Namespace) -> Vec<Resource> {
    let nodes = collector.scan(namespace).await.expect("scanned");
    let mut resources: Vec<_> = nodes.into_iter().map(|node| node.resource).collect();
    resources.sort();
    resources
}

/// Resources that nothing keeps.
async fn garbage<S: Stock>(stock: &S, namespace: &Namespace, count: usize) -> Vec<Resource> {
    let mut made = Vec::new();
    for number in 0..count {
        made.push(stock.garbage(namespace, &format!("garbage-{number}"), Labels::new()).await);
    }
    made.sort();
    made
}
