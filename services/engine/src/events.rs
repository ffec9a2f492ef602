//! What happened, in order: the last events are kept for `since`, new ones go to every listener.
//!
//! A listener that falls more than a queue behind is dropped: it would not know what it missed. Nobody who publishes ever waits.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::broadcast;

use crate::filters::Filters;

/// Events that are kept.
const KEPT: usize = 512;
/// What a listener may be behind.
const QUEUE: usize = 1024;

/// Filters that name an object.
const NAMING: [&str; 9] =
    ["config", "container", "daemon", "network", "node", "plugin", "secret", "service", "volume"];
/// Actions that are followed by what was done; where one of them is asked for, each asked for may go on.
const WITH_MORE: [&str; 3] = ["exec_create", "exec_start", "health_status"];

/// Something that happened to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `container`, `image`, `volume`, `network`, …
    pub kind: String,
    /// `start`, `die`, `health_status: healthy`, …
    pub action: String,
    /// The object's id or name.
    pub actor: String,
    /// What tells more, by key.
    pub attributes: BTreeMap<String, String>,
    /// Nanoseconds since 1970; no two events share one.
    pub time: i64,
    /// It is about a health probe's process.
    pub probe: bool,
}

/// The log of events.
#[derive(Debug)]
pub struct Events {
    /// Guards the ring, and with it the order in which listeners hear.
    ring: Mutex<VecDeque<Arc<Event>>>,
    live: broadcast::Sender<Arc<Event>>,
}

impl Default for Events {
    fn default() -> Self {
        Events { ring: Mutex::new(VecDeque::with_capacity(KEPT)), live: broadcast::channel(QUEUE).0 }
    }
}

impl Events {
    /// Adds an event, giving it the time of now.
    pub fn publish(&self, kind: &str, action: &str, actor: &str, attributes: BTreeMap<String, String>) {
        self.add(kind, action, actor, attributes, false);
    }

    /// Adds an event about a health probe's process, which some listeners leave out.
    pub fn publish_probe(&self, action: &str, container: &str, attributes: BTreeMap<String, String>) {
        self.add("container", action, container, attributes, true);
    }

    fn add(&self, kind: &str, action: &str, actor: &str, attributes: BTreeMap<String, String>, probe: bool) {
        let mut ring = self.ring.lock();
        let now = crate::time::now();
        let time = ring.back().map_or(now, |last| now.max(last.time + 1));
        let event = Arc::new(Event {
            kind: kind.to_owned(),
            action: action.to_owned(),
            actor: actor.to_owned(),
            attributes,
            time,
            probe,
        });
        if ring.len() == KEPT {
            ring.pop_front();
        }
        ring.push_back(Arc::clone(&event));
        // Nobody listening is no error.
        let _ = self.live.send(event);
    }

    /// What is kept from `since` on (nothing without it), and all that follows, without gap or overlap.
    pub fn subscribe(&self, since: Option<i64>) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        let ring = self.ring.lock();
        let past = match since {
            Some(since) => ring.iter().filter(|event| event.time >= since).cloned().collect(),
            None => Vec::new(),
        };
        (past, self.live.subscribe())
    }
}

impl Event {
    /// Whether an event passes Docker's filters. Those that name an object take any event of one that is called, or
    /// whose id begins, so.
    pub fn matches(&self, filters: &Filters) -> bool {
        let name = self.attributes.get("name").map_or("", String::as_str);
        let named = |key: &&str| {
            filters.any_of(key, |value| self.actor.starts_with(value) || name.starts_with(value))
        };
        let begins = filters.values("event").iter().any(|value| WITH_MORE.contains(&value.as_str()));
        NAMING.iter().all(named)
            && filters.any_of("type", |value| self.kind == value)
            && filters
                .any_of("event", |value| self.action == value || (begins && self.action.starts_with(value)))
            && filters.any_of("scope", |value| value == "local")
            && filters.any_of("image", |value| self.names_image(value))
            && filters.labels("label", &self.attributes)
    }

    /// Images are named by an event of their own, or by a container's `image` attribute; with or without the tag.
    fn names_image(&self, value: &str) -> bool {
        let attribute = if self.kind == "image" { "name" } else { "image" };
        let image = self.attributes.get(attribute).map_or("", String::as_str);
        let repository = image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
        self.actor == value || image == value || repository.is_some_and(|(repository, _)| repository == value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(events: &Events, id: &str) {
        let attributes = BTreeMap::from([
            ("image".to_owned(), "busybox:latest".to_owned()),
            ("name".to_owned(), "web".to_owned()),
            ("team".to_owned(), "blue".to_owned()),
        ]);
        events.publish("container", "start", id, attributes);
    }

    #[test]
    fn the_past_and_the_future_join_without_gap() {
        let events = Events::default();
        start(&events, "a");
        start(&events, "b");
        let (past, mut live) = events.subscribe(Some(0));
        assert_eq!(past.len(), 2);
        assert!(past[0].time < past[1].time);
        start(&events, "c");
        assert_eq!(live.try_recv().expect("heard").actor, "c");
        assert!(live.try_recv().is_err());
    }

    #[test]
    fn only_the_last_are_kept() {
        let events = Events::default();
        for _ in 0..KEPT + 5 {
            start(&events, "a");
        }
        assert_eq!(events.subscribe(Some(0)).0.len(), KEPT);
    }

    #[test]
    fn filters_choose() {
        let events = Events::default();
        start(&events, "abcdef");
        let (past, _) = events.subscribe(Some(0));
        let matches = |key: &str, value: &str| {
            past[0].matches(&Filters::new([(key.to_owned(), vec![value.to_owned()])]))
        };
        assert!(matches("container", "web"));
        assert!(matches("container", "abc"));
        assert!(matches("container", "we"));
        assert!(matches("network", "web"), "whatever its kind is");
        assert!(!matches("container", "other"));
        assert!(matches("image", "busybox"));
        assert!(matches("label", "team=blue"));
        assert!(!matches("type", "network"));
        assert!(!matches("plugin", "other"));
        assert!(matches("event", "start"));
        assert!(!matches("event", "st"));
    }

    #[test]
    fn actions_that_say_more_are_chosen_by_their_beginning() {
        let events = Events::default();
        events.publish("container", "exec_create: sh -c true", "a", BTreeMap::new());
        let (past, _) = events.subscribe(Some(0));
        let matches = |values: &[&str]| {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            past[0].matches(&Filters::new([("event".to_owned(), values)]))
        };
        assert!(matches(&["exec_create"]) && matches(&["exec_create: sh -c true"]));
        assert!(!matches(&["exec"]));
        assert!(matches(&["exec", "exec_start"]), "then all are beginnings");
    }
}
