//! `gantry events`.

use anyhow::{Result, bail};
use gantry_docker::{Filters, moment};
use gantry_proto::gantry::engine::v1::{Event, EventsRequest, Filter};
use prost_types::Timestamp;
use serde_json::json;
use tokio_stream::StreamExt;

use crate::cli::command::Events;
use crate::cmd::Session;
use crate::output::{self, Format};

const FILTERS: [&str; 9] =
    ["container", "daemon", "event", "image", "label", "network", "scope", "type", "volume"];

pub async fn run(session: &Session, arguments: &Events) -> Result<()> {
    let (since, until) =
        (time(arguments.since.as_deref(), "since")?, time(arguments.until.as_deref(), "until")?);
    if let (Some(since), Some(until)) = (&since, &until)
        && moment::unix_nanos(Some(since)) > moment::unix_nanos(Some(until))
    {
        bail!("--since is later than --until");
    }
    let filters = Filters::pairs(&arguments.filters, &FILTERS)?;
    let filters = filters.into_pairs().map(|(key, values)| Filter { key, values }).collect();
    let request = EventsRequest { since, until, filters };
    let mut events = session.peers.system().events(request).await?.into_inner();
    while let Some(event) = events.next().await {
        let event = event?;
        if event.probe && !arguments.probes {
            continue;
        }
        match session.format {
            Format::Json => output::json(&as_json(&event))?,
            Format::Table => output::line(line(&event))?,
        }
    }
    Ok(())
}

/// A point in time that an option names.
pub fn time(text: Option<&str>, option: &str) -> Result<Option<Timestamp>> {
    moment::parse(text.unwrap_or_default(), &moment::now())
        .map_err(|error| anyhow::anyhow!("--{option}: {error}"))
}

fn line(event: &Event) -> String {
    let mut attributes: Vec<_> =
        event.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
    attributes.sort();
    let time = output::time(event.time.as_ref()).unwrap_or_default();
    format!("{time} {} {} {} ({})", event.r#type, event.action, event.actor_id, attributes.join(", "))
}

fn as_json(event: &Event) -> serde_json::Value {
    json!({
        "time": output::time(event.time.as_ref()),
        "type": event.r#type,
        "action": event.action,
        "id": event.actor_id,
        "attributes": event.attributes,
        "probe": event.probe,
    })
}
