//! `gantry images`, `tag`, `rmi`.

use std::collections::HashMap;

use anyhow::{Context, Result};
use gantry_docker::image::{familiar, new_name, uses};
use gantry_docker::{Filters, event, moment};
use gantry_proto::gantry::engine::v1::InfoRequest;
use gantry_proto::gantry::images::v1::{
    Filter, Image, ListRequest, RemoveRequest, RemoveResponse, TagRequest, remove_request,
};
use gantry_types::Reference;
use serde_json::{Value, json};

use crate::cli::command::Images;
use crate::cmd::{Outcome, Session};
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

/// All that pass filters.
pub async fn all(session: &Session, filters: Filters) -> Result<Vec<Image>> {
    let filters = filters.into_pairs().map(|(key, values)| Filter { key, values }).collect();
    let mut images =
        session.peers.images().list(session.request(ListRequest { filters })).await?.into_inner().images;
    images.sort_by_key(|image| std::cmp::Reverse(moment::unix_nanos(image.created_at.as_ref())));
    Ok(images)
}

/// How many containers use each image, by its id.
pub async fn used(session: &Session) -> Result<HashMap<String, usize>> {
    let mut counts = HashMap::new();
    for one in session.peers.system().info(InfoRequest {}).await?.into_inner().image_uses {
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
            if listed.no_trunc { image.id.clone() } else { output::short(&image.id).to_owned() }
        };
        let ids: Vec<_> = images.iter().map(id).collect();
        return listing::names(ids.iter().map(String::as_str));
    }
    let used = used(session).await?;
    let mut rows = Vec::new();
    for image in &images {
        let containers = used.get(&image.id).copied().unwrap_or_default();
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

/// Of one of an image's names; of none if it is empty.
fn cells(image: &Image, name: &str, whole: bool, containers: usize) -> Vec<String> {
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
        if whole { image.id.clone() } else { output::short(&image.id).to_owned() },
        moment::rfc3339(image.created_at.as_ref()),
        output::ago(image.created_at.as_ref()),
        output::bytes(image.size.unsigned_abs()),
        containers.to_string(),
    ]
}

pub async fn tag(session: &Session, source: String, target: &str) -> Result<()> {
    let target = new_name(target, "").with_context(|| format!("image name {target:?}"))?;
    let request = TagRequest { source, target: target.to_string() };
    let tagged = session.peers.images().tag(session.request(request)).await?.into_inner();
    let id = tagged.image.map(|image| image.id).unwrap_or_default();
    session.tell(event::tagged(&id, &target.familiar())).await;
    Ok(())
}

/// What containers use: an image that is used must not go.
pub async fn in_use(session: &Session) -> Result<Vec<remove_request::Use>> {
    Ok(uses(session.peers.system().info(InfoRequest {}).await?.into_inner().image_uses))
}

pub async fn remove(session: &Session, references: &[String], force: bool) -> Result<u8> {
    let in_use = in_use(session).await?;
    let mut outcome = Outcome::default();
    for reference in references {
        let request = RemoveRequest {
            reference: reference.clone(),
            force,
            in_use: in_use.clone(),
            ..Default::default()
        };
        let removed = session.peers.images().remove(session.request(request)).await;
        if let Some(removed) = outcome.succeeded(removed) {
            told(session, removed.get_ref()).await?;
        }
    }
    Ok(outcome.code())
}

/// Tells what was removed: who asked for it, and the event log.
pub async fn told(session: &Session, removed: &RemoveResponse) -> Result<()> {
    for id in &removed.untagged_from {
        session.tell(event::image("untag", id)).await;
    }
    for id in &removed.deleted {
        session.tell(event::image("delete", id)).await;
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
        "id": image.id,
        "names": image.names,
        "digests": image.digests,
        "platform": image.platform.as_ref().map(|platform| format!("{}/{}", platform.os, platform.architecture)),
        "size_bytes": image.size,
        "created_at": output::time(image.created_at.as_ref()),
        "labels": image.labels,
        "chain_id": image.chain_id,
        "layers": image.layers.iter().map(|layer| json!({
            "digest": layer.descriptor.as_ref().map(|descriptor| descriptor.digest.clone()),
            "diff_id": layer.diff_id,
            "size_bytes": layer.descriptor.as_ref().map(|descriptor| descriptor.size),
        })).collect::<Vec<_>>(),
        "config": serde_json::from_slice::<Value>(&image.config_json).unwrap_or_default(),
    })
}
