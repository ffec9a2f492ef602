//! `gantry events`.

use anyhow::{Result, bail};
use gantry_api::Filter;
use gantry_api::engine::system::{Events as _, Subscribe as _};
use gantry_api::engine::{Event, EventQuery};
use gantry_api::time::timestamp;
use gantry_docker::{Filters, moment};
use prost_types::Timestamp;
use serde_json::json;

use crate::cli::command::Events;
use crate::cmd::{Session, said};
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
    let nanoseconds = |at: Timestamp| moment::unix_nanos(Some(&at));
    let (since, until) = (since.map(nanoseconds), until.map(nanoseconds));
    let mut events = session.system().events(EventQuery { since, until, filters }).await.map_err(said)?;
    while let Some(event) = events.next().await.map_err(said)? {
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

/// The time of an option.
pub fn time(text: Option<&str>, option: &str) -> Result<Option<Timestamp>> {
    moment::parse(text.unwrap_or_default(), &moment::now())
        .map_err(|error| anyhow::anyhow!("--{option}: {error}"))
}

fn line(event: &Event) -> String {
    let mut attributes: Vec<_> =
        event.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
    attributes.sort();
    let time = output::time(timestamp(event.time).as_ref()).unwrap_or_default();
    format!("{time} {} {} {} ({})", event.kind, event.action, event.actor_id, attributes.join(", "))
}

fn as_json(event: &Event) -> serde_json::Value {
    json!({
        "time": output::time(timestamp(event.time).as_ref()),
        "type": event.kind,
        "action": event.action,
        "id": event.actor_id,
        "attributes": event.attributes,
        "probe": event.probe,
    })
}
