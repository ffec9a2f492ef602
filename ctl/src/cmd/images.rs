//! `gantry images`, `tag`, `rmi`.

use std::collections::HashMap;

use anyhow::{Context, Result};
use gantry_api::Filter;
use gantry_api::images::{Force, Image, Inspect as _, Manage as _, Removal, Removed, Use};
use gantry_docker::image::{familiar, new_name, uses};
use gantry_docker::{Filters, event, moment};
use gantry_types::{Platform, Reference};
use prost_types::Timestamp;
use serde_json::{Value, json};

use crate::cli::command::Images;
use crate::cmd::{Outcome, Session, said};
use crate::output::listing::{self, Field, Listing, Row};
use crate::output::{self, Format};

const FILTERS: [&str; 7] = ["before", "dangling", "label", "label!", "reference", "since", "until"];
const FIELDS: &[Field] = &[
    ("Name", "IMAGE"),
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("ID", "IMAGE ID"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedSince", "CREATED"),
    ("Size", "SIZE"),
    ("Containers", "CONTAINERS"),
];
const NONE: &str = "<none>";

/// All images that pass filters.
pub async fn all(session: &Session, filters: Filters) -> Result<Vec<Image>> {
    let filters: Vec<_> = filters.into_pairs().map(|(key, values)| Filter { key, values }).collect();
    Ok(session.images().images(&session.namespace(), &filters).await.map_err(said)?)
}

/// A platform as it is written after `--platform`.
pub fn platform(text: Option<&str>) -> Result<Option<Platform>> {
    Ok(text.map(str::trim).filter(|text| !text.is_empty()).map(str::parse).transpose()?)
}

/// How many containers use each image, by its id.
pub async fn used(session: &Session) -> Result<HashMap<String, usize>> {
    let mut counts = HashMap::new();
    for one in session.info().await?.image_uses {
        *counts.entry(one.image_id).or_default() += 1;
    }
    Ok(counts)
}

pub async fn list(session: &Session, arguments: &Images) -> Result<()> {
    let listed = &arguments.listed;
    let mut columns = vec!["Name", "ID", "CreatedSince", "Size"];
    if arguments.digests {
        columns.insert(1, "Digest");
    }
    let printer = Listing { fields: FIELDS, columns }.printer(session.format, listed.format.as_deref())?;
    let mut filters = Filters::pairs(&listed.filters, &FILTERS)?;
    filters.flag("dangling")?;
    if let Some(name) = &arguments.name {
        filters.add("reference", name);
    }
    let images = all(session, filters).await?;
    if listed.quiet && session.format == Format::Table {
        let id = |image: &Image| {
            let id = image.id().as_str();
            if listed.no_trunc { id.to_owned() } else { output::short(id).to_owned() }
        };
        let ids: Vec<_> = images.iter().map(id).collect();
        return listing::names(ids.iter().map(String::as_str));
    }
    let used = used(session).await?;
    let mut rows = Vec::new();
    for image in &images {
        let containers = used.get(image.id().as_str()).copied().unwrap_or_default();
        let whole = Value::Object({
            let Value::Object(mut whole) = as_json(image) else { unreachable!("it is an object") };
            whole.insert("containers".to_owned(), json!(containers));
            whole
        });
        if session.format == Format::Json {
            rows.push(Row { cells: Vec::new(), whole });
            continue;
        }
        let names = if image.names.is_empty() { &[String::new()][..] } else { &image.names };
        for name in names {
            let cells = cells(image, name, listed.no_trunc, containers);
            rows.push(Row { cells, whole: whole.clone() });
        }
    }
    printer.print(&rows)
}

/// The row for one of an image's names, or for an image without names.
fn cells(image: &Image, name: &str, whole: bool, containers: usize) -> Vec<String> {
    let (id, created) = (image.id().as_str(), Timestamp::from(image.created_at));
    let reference = Reference::parse_normalized(name).ok();
    let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
    let repository = reference.as_ref().map(Reference::familiar_name);
    let digest = image.digests.iter().find_map(|canonical| {
        let digest = Reference::parse_normalized(canonical).ok()?;
        let same = reference.as_ref().is_none_or(|reference| reference.name() == digest.name());
        same.then(|| digest.digest().map(ToString::to_string)).flatten()
    });
    vec![
        or_none(reference.as_ref().map(Reference::familiar)),
        or_none(repository),
        or_none(reference.as_ref().and_then(|reference| reference.tag().map(str::to_owned))),
        or_none(digest),
        if whole { id.to_owned() } else { output::short(id).to_owned() },
        moment::rfc3339(Some(&created)),
        output::ago(Some(&created)),
        output::bytes(image.size),
        containers.to_string(),
    ]
}

pub async fn tag(session: &Session, source: &str, target: &str) -> Result<()> {
    let target = new_name(target, "").with_context(|| format!("image name {target:?}"))?;
    let tagged = session.images().tag_image(&session.namespace(), source, &target).await.map_err(said)?;
    session.tell(event::tagged(tagged.id().as_str(), &target.familiar())).await;
    Ok(())
}

/// The images that containers use: they must not be removed.
pub async fn in_use(session: &Session) -> Result<Vec<Use>> {
    Ok(uses(session.info().await?.image_uses))
}

pub async fn remove(session: &Session, references: &[String], force: bool) -> Result<u8> {
    let in_use = in_use(session).await?;
    let mut outcome = Outcome::default();
    for reference in references {
        let force = if force { Force::Yes } else { Force::No };
        let removal = Removal { force, in_use: in_use.clone(), ..Removal::of(reference) };
        let removed = session.images().remove_image(&session.namespace(), removal).await;
        if let Some(removed) = outcome.succeeded(removed.map_err(said)) {
            told(session, &removed).await?;
        }
    }
    Ok(outcome.code())
}

/// Reports removals to the user and to the event log.
pub async fn told(session: &Session, removed: &Removed) -> Result<()> {
    for id in &removed.untagged_from {
        session.tell(event::image("untag", id.as_str())).await;
    }
    for id in &removed.deleted {
        session.tell(event::image("delete", id.as_str())).await;
    }
    for name in &removed.untagged {
        output::line(format_args!("untagged {}", familiar(name)))?;
    }
    for id in &removed.deleted {
        output::line(format_args!("deleted {id}"))?;
    }
    Ok(())
}

/// An image as JSON.
pub fn as_json(image: &Image) -> Value {
    json!({
        "kind": "image",
        "id": image.id().as_str(),
        "names": image.names,
        "digests": image.digests,
        "platform": format!("{}/{}", image.platform.os(), image.platform.architecture()),
        "size_bytes": image.size,
        "created_at": output::time(Some(&image.created_at.into())),
        "labels": image.labels,
        "chain_id": image.chain_id().map(|chain| chain.to_string()).unwrap_or_default(),
        "layers": image.layers.iter().map(|layer| json!({
            "digest": layer.descriptor.digest.as_str(),
            "diff_id": layer.diff_id.to_string(),
            "size_bytes": layer.descriptor.size,
        })).collect::<Vec<_>>(),
        "config": serde_json::from_slice::<Value>(&image.config_json).unwrap_or_default(),
    })
}
