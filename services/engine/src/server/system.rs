//! Implements the interface of the engine as a whole.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use gantry_api::engine::system::{self, Inspect, Publish, Subscribe};
use gantry_api::engine::{EventQuery, Info};
use gantry_docker::event::FILTERS;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use crate::container::list::filters_of;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::filters::Filters;
use crate::time;

impl Inspect for Engine {
    async fn info(&self) -> Result<Info> {
        Ok(Engine::info(self))
    }
}

impl Publish for Engine {
    async fn publish(&self, event: gantry_api::engine::Event) -> Result<()> {
        let attributes = event.attributes.into_iter().collect();
        self.events.publish(&event.kind, &event.action, &event.actor_id, attributes);
        Ok(())
    }
}

/// Events for one subscriber.
pub struct Events {
    past: VecDeque<Arc<Event>>,
    live: broadcast::Receiver<Arc<Event>>,
    filters: Filters,
    until: Option<i64>,
    /// Time at which the stream ends.
    end: Option<Instant>,
}

impl Subscribe for Engine {
    type Events = Events;

    async fn events(&self, query: EventQuery) -> Result<Events> {
        let filters = filters_of(&query.filters);
        if let Some(unknown) = filters.unknown(&FILTERS) {
            return Err(Error::Invalid(format!("invalid filter '{unknown}'")));
        }
        let (until, now) = (query.until, time::now());
        // A request with an end in the past and no start gets all kept events.
        let since = query.since.or_else(|| until.filter(|until| *until <= now).map(|_| 0));
        let (past, live) = self.events.subscribe(since);
        let rest = |until: i64| Duration::from_nanos(u64::try_from(until.saturating_sub(now)).unwrap_or(0));
        // A time that the machine's clock cannot represent counts as no end.
        let end = until.and_then(|until| Instant::now().checked_add(rest(until)));
        Ok(Events { past: past.into(), live, filters, until, end })
    }
}

impl system::Events for Events {
    type Error = Error;

    async fn next(&mut self) -> Result<Option<gantry_api::engine::Event>> {
        while let Some(event) = self.past.pop_front() {
            if self.until.is_none_or(|until| event.time <= until) && event.matches(&self.filters) {
                return Ok(Some(view(&event)));
            }
        }
        let end = async {
            match self.end {
                Some(end) => tokio::time::sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(end);
        loop {
            let event = tokio::select! {
                event = self.live.recv() => event,
                () = &mut end => return Ok(None),
            };
            match event {
                Ok(event) if event.matches(&self.filters) => return Ok(Some(view(&event))),
                Ok(_) => {}
                Err(RecvError::Lagged(lost)) => {
                    tracing::warn!(lost, "a listener to events was too slow, and is dropped");
                    return Err(Error::Lagging { lost });
                }
                Err(RecvError::Closed) => return Ok(None),
            }
        }
    }
}

fn view(event: &Event) -> gantry_api::engine::Event {
    gantry_api::engine::Event {
        kind: event.kind.clone(),
        action: event.action.clone(),
        actor_id: event.actor.clone(),
        attributes: event.attributes.clone().into_iter().collect(),
        time: event.time,
        probe: event.probe,
    }
}
