//! The fake engine as a whole: facts and events.

use std::time::Duration;

use gantry_api::engine::system::{self as api, Inspect, Publish, Subscribe};
use gantry_api::engine::{Event, EventQuery, Filter, ImageUse, Info, Status};
use gantry_docker::event::FILTERS;
use gantry_rpc::Code;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::Engine;
use super::container::Container;
use super::names::now;
use crate::Refused;

impl Inspect for Engine {
    async fn info(&self) -> Result<Info, Refused> {
        self.edit(|state| {
            let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
            let of = |status: Status| {
                number(state.containers.iter().filter(|container| container.status() == status).count())
            };
            let image_use = |container: &Container| ImageUse {
                container_id: container.id.clone(),
                reference: container.spec.config.image.clone(),
                image_id: container.image_id.clone(),
                running: container.has_process(),
            };
            Ok(Info {
                id: "fake".to_owned(),
                containers: number(state.containers.len()),
                running: of(Status::Running),
                paused: of(Status::Paused),
                stopped: of(Status::Created) + of(Status::Exited),
                snapshotter: "overlayfs".to_owned(),
                cgroup_version: "2".to_owned(),
                cgroup_driver: "cgroupfs".to_owned(),
                runtimes: vec!["runc".to_owned()],
                default_runtime: "runc".to_owned(),
                image_uses: state.containers.iter().map(image_use).collect(),
                volume_drivers: vec!["local".to_owned()],
                ..Info::default()
            })
        })
    }
}

impl Publish for Engine {
    async fn publish(&self, event: Event) -> Result<(), Refused> {
        self.edit(|state| state.publish(Event { probe: false, ..event }, &self.0.live));
        Ok(())
    }
}

/// A subscription to events.
#[derive(Debug)]
pub struct Subscription {
    past: std::vec::IntoIter<Event>,
    live: broadcast::Receiver<Event>,
    filters: Vec<Filter>,
    /// Time at which the stream ends.
    end: Option<Instant>,
}

impl Subscribe for Engine {
    type Events = Subscription;

    async fn events(&self, query: EventQuery) -> Result<Subscription, Refused> {
        if let Some(odd) = query.filters.iter().find(|filter| !FILTERS.contains(&filter.key.as_str())) {
            return Err(Refused::new(Code::InvalidArgument, &odd.key, "no such filter"));
        }
        let now = now();
        let since = query.since.or_else(|| query.until.filter(|until| *until <= now).map(|_| 0));
        self.edit(|state| {
            let known = |event: &&Event| since.is_some_and(|since| event.time >= since);
            let ended = |event: &&Event| query.until.is_none_or(|until| event.time <= until);
            let past: Vec<Event> = state.events.iter().filter(known).filter(ended).cloned().collect();
            let rest = |until: i64| Duration::from_nanos(u64::try_from(until - now).unwrap_or(0));
            let end = query.until.and_then(|until| Instant::now().checked_add(rest(until)));
            let live = self.0.live.subscribe();
            Ok(Subscription { past: past.into_iter(), live, filters: query.filters, end })
        })
    }
}

fn matches(filter: &Filter, event: &Event) -> bool {
    let name = event.attributes.get("name").map_or("", String::as_str);
    let image = event.attributes.get("image").map_or("", String::as_str);
    let has = |wanted: &str| match wanted.split_once('=') {
        Some((key, value)) => event.attributes.get(key).is_some_and(|label| label == value),
        None => event.attributes.contains_key(wanted),
    };
    let any = |is: &dyn Fn(&str) -> bool| filter.values.iter().any(|value| is(value));
    match filter.key.as_str() {
        "type" => any(&|value| event.kind == value),
        "event" => any(&|value| event.action == value || event.action.starts_with(&format!("{value}:"))),
        "scope" => any(&|value| value == "local"),
        "label" => filter.values.iter().all(|value| has(value)),
        "image" => any(&|value| event.actor_id == value || image == value),
        _ => any(&|value| event.actor_id.starts_with(value) || name.starts_with(value)),
    }
}

impl api::Events for Subscription {
    type Error = Refused;

    async fn next(&mut self) -> Result<Option<Event>, Refused> {
        let passes = |event: &Event| self.filters.iter().all(|filter| matches(filter, event));
        if let Some(event) = self.past.by_ref().find(passes) {
            return Ok(Some(event));
        }
        loop {
            let next = async {
                match self.end {
                    Some(end) => tokio::time::timeout_at(end, self.live.recv()).await.ok(),
                    None => Some(self.live.recv().await),
                }
            };
            match next.await {
                Some(Ok(event)) if self.filters.iter().all(|filter| matches(filter, &event)) => {
                    return Ok(Some(event));
                }
                Some(Ok(_)) => {}
                Some(Err(RecvError::Lagged(_))) => {
                    return Err(Refused::new(Code::ResourceExhausted, "events", "the listener is too slow"));
                }
                Some(Err(RecvError::Closed)) | None => return Ok(None),
            }
        }
    }
}
