//! `gantry volume`.

use anyhow::Result;
use gantry_api::engine::volumes::{Client, Force, Inspect as _, Manage as _, Usage};
use gantry_api::engine::{Filter, Volume, VolumeSpec};
use gantry_api::time::timestamp;
use gantry_docker::{Filters, moment};
use gantry_rpc::{Code, Coded as _};
use serde_json::{Value, json};

use crate::cli::command::Listed;
use crate::cmd::{Outcome, Session, inspect as show, said};
use crate::options;
use crate::options::value::pairs;
use crate::output::listing::{self, Field, Listing, Row};
use crate::output::{self, Format};

const FILTERS: [&str; 4] = ["dangling", "driver", "label", "name"];
const FIELDS: &[Field] = &[
    ("Driver", "DRIVER"),
    ("Name", "VOLUME NAME"),
    ("Mountpoint", "MOUNTPOINT"),
    ("CreatedAt", "CREATED AT"),
    ("Labels", "LABELS"),
    ("Scope", "SCOPE"),
];

pub async fn create(
    session: &Session,
    name: String,
    driver: String,
    options: &[String],
    labels: &[String],
) -> Result<()> {
    let spec =
        VolumeSpec { name, driver, driver_opts: pairs(options, "opt")?, labels: options::label_map(labels)? };
    output::line(Client::new(&session.peers).create_volume(spec).await.map_err(said)?.name)
}

pub async fn list(session: &Session, listed: &Listed) -> Result<()> {
    let listing = Listing { fields: FIELDS, columns: vec!["Driver", "Name"] };
    let printer = listing.printer(session.format, listed.format.as_deref())?;
    let filters = Filters::pairs(&listed.filters, &FILTERS)?;
    filters.flag("dangling")?;
    let filters: Vec<_> = filters.into_pairs().map(|(key, values)| Filter { key, values }).collect();
    let client = Client::new(&session.peers);
    let mut volumes = client.volumes(&filters, Usage::Untold).await.map_err(said)?;
    volumes.sort_by(|one, other| one.name.cmp(&other.name));
    if listed.quiet && session.format == Format::Table {
        return listing::names(volumes.iter().map(|volume| volume.name.as_str()));
    }
    let row = |volume: &Volume| Row {
        cells: vec![
            volume.driver.clone(),
            volume.name.clone(),
            volume.mountpoint.clone(),
            moment::rfc3339(timestamp(volume.created_at).as_ref()),
            output::pairs(&volume.labels),
            volume.scope.clone(),
        ],
        whole: as_json(volume),
    };
    printer.print(&volumes.iter().map(row).collect::<Vec<_>>())
}

pub async fn remove(session: &Session, names: &[String], force: bool) -> Result<u8> {
    let client = Client::new(&session.peers);
    let mut outcome = Outcome::default();
    let force = if force { Force::Yes } else { Force::No };
    for name in names {
        match client.remove_volume(name, force).await {
            Err(failure) if force == Force::Yes && failure.code() == Code::NotFound => output::line(name)?,
            result => outcome.report(name, result.map_err(said))?,
        }
    }
    Ok(outcome.code())
}

pub async fn inspect(session: &Session, names: &[String]) -> Result<u8> {
    let mut outcome = Outcome::default();
    for name in names {
        let found = Client::new(&session.peers).volume(name).await.map_err(said);
        if let Some(volume) = outcome.succeeded(found) {
            show::print(session, &as_json(&volume))?;
        }
    }
    Ok(outcome.code())
}

/// A volume as JSON.
pub fn as_json(volume: &Volume) -> Value {
    let mut whole = json!({
        "kind": "volume",
        "name": volume.name,
        "driver": volume.driver,
        "mountpoint": volume.mountpoint,
        "created_at": output::time(timestamp(volume.created_at).as_ref()),
        "labels": volume.labels,
        "options": volume.options,
        "anonymous": volume.anonymous,
    });
    if let Ok(status) = serde_json::from_str::<Value>(&volume.status) {
        whole["status"] = status;
    }
    if volume.size >= 0 && volume.ref_count >= 0 {
        whole["size_bytes"] = json!(volume.size);
        whole["containers"] = json!(volume.ref_count);
    }
    whole
}
