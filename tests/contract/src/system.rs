//! The engine as a whole: what it is, and what happened.

use std::collections::HashMap;
use std::time::Duration;

use gantry_api::engine::containers::{Manage, Run};
use gantry_api::engine::system::{Events, Service};
use gantry_api::engine::{Event, EventQuery, Filter};
use gantry_rpc::{Code, Coded};

use crate::containers::{named, refused, removal, stop};

/// Tests of `gantry_api::engine::system::Service` in a [`World`](system::World), where the suite of containers can be run.
#[macro_export]
macro_rules! system {
    ($world:expr) => {
        $crate::suite!(
            system,
            $world,
            [
                containers_are_counted_by_what_they_do,
                images_in_use_are_told,
                what_happens_is_told_in_order,
                the_past_is_told_and_then_what_comes,
                a_moment_ends_events,
                events_are_chosen_by_all_filters,
                what_happened_elsewhere_is_told_too,
                a_filter_that_does_not_exist_is_refused,
                several_listeners_hear_the_same,
            ]
        );
    };
}

/// An engine as a whole, and its containers.
#[derive(Debug)]
pub struct World<C, S> {
    /// The containers.
    pub containers: C,
    /// The engine.
    pub system: S,
}

/// What the suite asks of containers.
pub trait Containers: Manage + Run {}

impl<C: Manage + Run> Containers for C {}

/// How long something may take to be told.
const PATIENCE: Duration = Duration::from_secs(10);

fn filter(key: &str, values: &[&str]) -> Filter {
    Filter { key: key.to_owned(), values: values.iter().map(|value| (*value).to_owned()).collect() }
}

/// Of containers alone: their networks have events, too.
fn query(filters: &[Filter]) -> EventQuery {
    let filters = [filter("type", &["container"])].iter().chain(filters).cloned().collect();
    EventQuery { filters, ..EventQuery::default() }
}

async fn next<E: Coded + Send + Sync + 'static>(events: &mut impl Events<Error = E>) -> Option<Event> {
    let told = tokio::time::timeout(PATIENCE, events.next()).await.expect("in time");
    told.unwrap_or_else(|error| panic!("told: {error}"))
}

async fn actions<E: Coded + Send + Sync + 'static>(
    events: &mut impl Events<Error = E>,
    count: usize,
) -> Vec<String> {
    let mut actions = Vec::new();
    for _ in 0..count {
        actions.push(next(events).await.expect("more").action);
    }
    actions
}

/// Created and exited containers both count as stopped. The engine's id stays.
pub async fn containers_are_counted_by_what_they_do<C: Containers, S: Service>(world: &World<C, S>) {
    for name in ["made", "runs", "frozen", "ended"] {
        world.containers.create_container(named(name)).await.expect("made");
        if name != "made" {
            world.containers.start_container(name).await.expect("started");
        }
    }
    world.containers.pause_container("frozen").await.expect("frozen");
    world.containers.stop_container(stop("ended")).await.expect("stopped");
    let info = world.system.info().await.expect("told");
    assert_eq!((info.containers, info.running, info.paused, info.stopped), (4, 1, 1, 2));
    assert!(!info.id.is_empty() && !info.default_runtime.is_empty(), "{info:?}");
    assert_eq!(world.system.info().await.expect("told").id, info.id);
}

/// The engine tells which containers use an image, and whether they run.
pub async fn images_in_use_are_told<C: Containers, S: Service>(world: &World<C, S>) {
    let made = world.containers.create_container(named("made")).await.expect("made").id;
    let runs = world.containers.create_container(named("runs")).await.expect("made").id;
    world.containers.start_container("runs").await.expect("started");
    let uses = world.system.info().await.expect("told").image_uses;
    let running: HashMap<String, bool> =
        uses.iter().map(|one| (one.container_id.clone(), one.running)).collect();
    assert_eq!(running, HashMap::from([(made, false), (runs, true)]));
    assert!(uses.iter().all(|one| one.reference.contains("busybox") && one.image_id == uses[0].image_id));
}

/// Every event of a container has its name and image, and a time of its own.
pub async fn what_happens_is_told_in_order<C: Containers, S: Service>(world: &World<C, S>) {
    let filters = [filter("event", &["create", "start", "kill", "die", "destroy"])];
    let mut events = world.system.events(query(&filters)).await.expect("begun");
    let id = world.containers.create_container(named("web")).await.expect("made").id;
    world.containers.start_container("web").await.expect("started");
    world.containers.kill_container("web", "KILL").await.expect("killed");
    world.containers.remove_container(removal("web", false)).await.expect("removed");
    let mut before = 0;
    for action in ["create", "start", "kill", "die", "destroy"] {
        let event = next(&mut events).await.expect("more");
        assert_eq!((event.action.as_str(), event.actor_id.as_str()), (action, id.as_str()));
        assert_eq!(event.attributes.get("name").map(String::as_str), Some("web"));
        assert_eq!(event.attributes.get("image").map(String::as_str), Some("busybox"));
        if action == "die" {
            assert_eq!(event.attributes.get("exitCode").map(String::as_str), Some("137"));
        }
        assert!(event.time > before, "no two at once");
        before = event.time;
    }
}

/// Past events and new ones join without a gap.
pub async fn the_past_is_told_and_then_what_comes<C: Containers, S: Service>(world: &World<C, S>) {
    world.containers.create_container(named("one")).await.expect("made");
    let mut events = world.system.events(EventQuery { since: Some(0), ..query(&[]) }).await.expect("begun");
    let mut later = world.system.events(query(&[])).await.expect("begun");
    world.containers.create_container(named("two")).await.expect("made");
    let first = next(&mut events).await.expect("more");
    assert_eq!(first.attributes.get("name").map(String::as_str), Some("one"));
    for heard in [&mut events, &mut later] {
        let second = next(heard).await.expect("more");
        assert_eq!(second.attributes.get("name").map(String::as_str), Some("two"));
    }
    // A moment after the first, it is none of the past.
    let since = Some(first.time + 1);
    let mut rest = world.system.events(EventQuery { since, ..query(&[]) }).await.expect("begun");
    let second = next(&mut rest).await.expect("more");
    assert_eq!(second.attributes.get("name").map(String::as_str), Some("two"));
}

/// Events end at `until`. If that is past and there is no `since`, all events up to it are told.
pub async fn a_moment_ends_events<C: Containers, S: Service>(world: &World<C, S>) {
    world.containers.create_container(named("one")).await.expect("made");
    let mut all = world.system.events(EventQuery { since: Some(0), ..query(&[]) }).await.expect("begun");
    let at = next(&mut all).await.expect("more").time;
    world.containers.create_container(named("two")).await.expect("made");
    let mut past = world.system.events(EventQuery { until: Some(at), ..query(&[]) }).await.expect("begun");
    assert_eq!(next(&mut past).await.expect("more").time, at);
    assert_eq!(next(&mut past).await, None);
    let soon = at + i64::try_from(Duration::from_secs(1).as_nanos()).expect("a second");
    let until_soon = EventQuery { since: Some(at), until: Some(soon), ..query(&[]) };
    let mut events = world.system.events(until_soon).await.expect("begun");
    assert_eq!(actions(&mut events, 2).await, ["create", "create"]);
    assert_eq!(next(&mut events).await, None);
}

/// An event matches every filter, and one of the values of each.
pub async fn events_are_chosen_by_all_filters<C: Containers, S: Service>(world: &World<C, S>) {
    for name in ["one", "two"] {
        world.containers.create_container(named(name)).await.expect("made");
        world.containers.start_container(name).await.expect("started");
    }
    let told = async |filters: &[Filter]| {
        let until = Some(i64::MAX);
        let mut events =
            world.system.events(EventQuery { since: Some(0), until, ..query(filters) }).await.expect("begun");
        let mut told = Vec::new();
        // The last of all is told when nothing comes for a while: what is looked for happened before.
        while let Ok(Ok(Some(event))) = tokio::time::timeout(Duration::from_millis(300), events.next()).await
        {
            told.push(format!("{} {}", event.attributes["name"], event.action));
        }
        told
    };
    let starts = filter("event", &["start"]);
    assert_eq!(told(std::slice::from_ref(&starts)).await, ["one start", "two start"]);
    assert_eq!(told(&[starts.clone(), filter("container", &["two"])]).await, ["two start"]);
    assert_eq!(told(&[starts.clone(), filter("label", &["name=one"])]).await, ["one start"]);
    let either = filter("event", &["start", "create"]);
    assert_eq!(told(&[either, filter("container", &["one"])]).await, ["one create", "one start"]);
    assert!(told(&[starts, filter("image", &["another"])]).await.is_empty());
}

/// The engine sets the time of published events itself.
pub async fn what_happened_elsewhere_is_told_too<C: Containers, S: Service>(world: &World<C, S>) {
    let filters = vec![filter("type", &["image"])];
    let mut events =
        world.system.events(EventQuery { filters, ..EventQuery::default() }).await.expect("begun");
    let pull = Event {
        kind: "image".to_owned(),
        action: "pull".to_owned(),
        actor_id: "busybox:latest".to_owned(),
        attributes: [("name".to_owned(), "busybox".to_owned())].into(),
        ..Event::default()
    };
    let tag = Event { action: "tag".to_owned(), time: 7, ..pull.clone() };
    for event in [pull.clone(), tag.clone()] {
        world.system.publish(event).await.expect("taken");
    }
    for event in [pull, tag] {
        let heard = next(&mut events).await.expect("more");
        assert!(heard.time > 7, "the engine's own");
        assert_eq!(heard, Event { time: heard.time, ..event });
    }
}

/// An unknown filter is refused before anything is told.
pub async fn a_filter_that_does_not_exist_is_refused<C: Containers, S: Service>(world: &World<C, S>) {
    let query = EventQuery { filters: vec![filter("colour", &["red"])], ..EventQuery::default() };
    refused(world.system.events(query).await, Code::InvalidArgument);
}

/// A listener that goes does not disturb the others.
pub async fn several_listeners_hear_the_same<C: Containers, S: Service>(world: &World<C, S>) {
    let mut one = world.system.events(query(&[])).await.expect("begun");
    let mut other = world.system.events(query(&[])).await.expect("begun");
    drop(world.system.events(query(&[])).await.expect("begun"));
    for name in ["first", "second"] {
        world.containers.create_container(named(name)).await.expect("made");
    }
    for _ in 0..2 {
        assert_eq!(next(&mut one).await, next(&mut other).await);
    }
}
