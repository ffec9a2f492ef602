//! Events in order: the last ones are kept for `since`, and new ones go to every subscriber.
//!
//! A subscriber that falls behind by more than its queue is dropped, because it could not know what it missed.
//! Publishing never waits.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::broadcast;

use crate::container::Container;
use crate::filters::Filters;

/// Number of events that are kept.
const KEPT: usize = 512;
/// Number of events that a subscriber may be behind.
const QUEUE: usize = 1024;

/// Filters that select by object.
const NAMING: [&str; 9] =
    ["config", "container", "daemon", "network", "node", "plugin", "secret", "service", "volume"];
/// Actions whose text continues with details. A filter for one of them also matches the action with details.
const WITH_MORE: [&str; 3] = ["exec_create", "exec_start", "health_status"];

/// An event about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `container`, `image`, `volume`, `network`, …
    pub kind: String,
    /// `start`, `die`, `health_status: healthy`, …
    pub action: String,
    /// The object's id or name.
    pub actor: String,
    /// Further facts, by key.
    pub attributes: BTreeMap<String, String>,
    /// Nanoseconds since 1970; unique among all events.
    pub time: i64,
    /// Whether the event is about the exec of a health check.
    pub probe: bool,
}

/// The log of events. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Events(Arc<Log>);

#[derive(Debug)]
struct Log {
    /// The lock also determines the order in which subscribers get events.
    ring: Mutex<VecDeque<Arc<Event>>>,
    live: broadcast::Sender<Arc<Event>>,
}

impl Default for Log {
    fn default() -> Self {
        Log { ring: Mutex::new(VecDeque::with_capacity(KEPT)), live: broadcast::channel(QUEUE).0 }
    }
}

impl Events {
    /// Adds an event with the present time.
    pub fn publish(&self, kind: &str, action: &str, actor: &str, attributes: BTreeMap<String, String>) {
        self.add(kind, action, actor, attributes, false);
    }

    /// Adds an event about a container, with its labels, image and name and further attributes.
    pub(crate) fn publish_container(
        &self,
        container: &Container,
        action: &str,
        more: BTreeMap<String, String>,
    ) {
        self.add("container", action, container.id(), attributes_of(container, more), false);
    }

    /// Adds an event about the exec of a health check, which some subscribers leave out.
    pub(crate) fn publish_probe(&self, container: &Container, action: &str, more: BTreeMap<String, String>) {
        self.add("container", action, container.id(), attributes_of(container, more), true);
    }

    fn add(&self, kind: &str, action: &str, actor: &str, attributes: BTreeMap<String, String>, probe: bool) {
        let mut ring = self.0.ring.lock();
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
        // An error only means that there is no subscriber.
        let _ = self.0.live.send(event);
    }

    /// Returns the kept events from `since` on (none without it), and a subscription to all later ones without gap or
    /// overlap.
    pub fn subscribe(&self, since: Option<i64>) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        let ring = self.0.ring.lock();
        let past = match since {
            Some(since) => ring.iter().filter(|event| event.time >= since).cloned().collect(),
            None => Vec::new(),
        };
        (past, self.0.live.subscribe())
    }
}

fn attributes_of(container: &Container, more: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let record = container.record();
    let mut attributes: BTreeMap<String, String> =
        record.config.labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    attributes.insert("image".to_owned(), record.config.image.clone());
    attributes.insert("name".to_owned(), record.name.clone());
    attributes.extend(more);
    attributes
}

impl Event {
    /// Whether an event matches Docker's filters. A filter that selects by object matches its name and the beginning
    /// of its id.
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

    /// An image is named by the actor of its own event, or by a container's `image` attribute, with or without the
    /// tag.
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
