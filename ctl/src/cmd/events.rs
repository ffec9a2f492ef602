//! `gantry events`.

use anyhow::Result;
use gantry_proto::gantry::engine::v1::{Event, EventsRequest};
use tokio_stream::StreamExt;

use crate::cmd::Session;
use crate::output::{self, Format};

pub async fn run(session: &Session) -> Result<()> {
    let mut events = session.peers.system().events(EventsRequest::default()).await?.into_inner();
    while let Some(event) = events.next().await {
        let event = event?;
        match session.format {
            Format::Json => output::line(as_json(&event))?,
            Format::Table => output::line(line(&event))?,
        }
    }
    Ok(())
}

fn line(event: &Event) -> String {
    let mut attributes: Vec<_> =
        event.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
    attributes.sort();
    let time = event.time.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{time} {} {} {} ({})", event.r#type, event.action, event.actor_id, attributes.join(", "))
}

fn as_json(event: &Event) -> serde_json::Value {
    serde_json::json!({
        "time": event.time.as_ref().map(ToString::to_string),
        "type": event.r#type,
        "action": event.action,
        "id": event.actor_id,
        "attributes": event.attributes,
    })
}
