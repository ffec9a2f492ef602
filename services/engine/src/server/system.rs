//! `gantry.engine.v1.System`.

use std::time::Duration;

use gantry_proto::gantry::engine::v1 as pb;
use pb::system_server::System;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

use super::{Answers, Server, filters, stream};
use crate::container::list::filters_of;
use crate::events::Event;
use crate::time;

type Reply<T> = Result<Response<T>, Status>;

const KNOWN: [&str; 14] = [
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "node",
    "plugin",
    "scope",
    "secret",
    "service",
    "type",
    "volume",
    "config",
];

#[tonic::async_trait]
impl System for Server {
    type EventsStream = Answers<pb::Event>;

    async fn events(&self, request: Request<pb::EventsRequest>) -> Reply<Self::EventsStream> {
        let request = request.into_inner();
        let filters = filters_of(&filters(request.filters));
        if let Some(unknown) = filters.unknown(&KNOWN) {
            return Err(Status::invalid_argument(format!("invalid filter '{unknown}'")));
        }
        let since = request.since.as_ref().map(|since| time::from_timestamp(Some(since)));
        let until = request.until.as_ref().map(|until| time::from_timestamp(Some(until)));
        // A request for the past alone begins at its beginning.
        let since = since.or_else(|| until.filter(|until| *until <= time::now()).map(|_| 0));
        let (past, mut live) = self.engine.events.subscribe(since);
        let (sender, receiver) = mpsc::channel(64);
        tokio::spawn(async move {
            for event in past {
                let wanted = until.is_none_or(|until| event.time <= until) && event.matches(&filters);
                if wanted && sender.send(Ok(wire(&event))).await.is_err() {
                    return;
                }
            }
            let rest = until.map(|until| {
                Duration::from_nanos(u64::try_from(until.saturating_sub(time::now())).unwrap_or(0))
            });
            let end = async {
                match rest {
                    Some(rest) => tokio::time::sleep(rest).await,
                    None => std::future::pending().await,
                }
            };
            tokio::pin!(end);
            loop {
                let event = tokio::select! {
                    event = live.recv() => event,
                    () = &mut end => return,
                    () = sender.closed() => return,
                };
                match event {
                    Ok(event) => {
                        if event.matches(&filters) && sender.send(Ok(wire(&event))).await.is_err() {
                            return;
                        }
                    }
                    Err(RecvError::Lagged(lost)) => {
                        tracing::warn!(lost, "a listener to events was too slow, and is dropped");
                        let words = format!("the listener is too slow: {lost} events were lost");
                        let _ = sender.send(Err(Status::resource_exhausted(words))).await;
                        return;
                    }
                    Err(RecvError::Closed) => return,
                }
            }
        });
        Ok(Response::new(stream(receiver)))
    }

    async fn publish(&self, request: Request<pb::Event>) -> Reply<pb::PublishResponse> {
        let event = request.into_inner();
        let attributes = event.attributes.into_iter().collect();
        self.engine.events.publish(&event.r#type, &event.action, &event.actor_id, attributes);
        Ok(Response::new(pb::PublishResponse {}))
    }

    async fn info(&self, _: Request<pb::InfoRequest>) -> Reply<pb::InfoResponse> {
        Ok(Response::new(self.engine.info().into()))
    }
}

fn wire(event: &Event) -> pb::Event {
    pb::Event {
        r#type: event.kind.clone(),
        action: event.action.clone(),
        actor_id: event.actor.clone(),
        attributes: event.attributes.clone().into_iter().collect(),
        time: time::timestamp(event.time),
        probe: event.probe,
    }
}
