//! `gantry df`: the use of disk space, and how much of it a prune would free.

use anyhow::Result;
use gantry_api::engine::containers::Inspect as _;
use gantry_api::engine::volumes::{self, Inspect as _};
use gantry_api::engine::{ListQuery, Status};
use gantry_docker::Filters;
use gantry_docker::image::{familiar, layer_owners, layers_usage, shared_size};
use serde_json::json;

use crate::cmd::{Session, images, said};
use crate::output::{self, Format};

/// One kind of objects.
struct Kind {
    name: &'static str,
    count: usize,
    active: usize,
    size: u64,
    reclaimable: u64,
    /// An object's name, its user, its size.
    objects: Vec<(String, String, u64)>,
}

pub async fn run(session: &Session, verbose: bool) -> Result<()> {
    let kinds = [image_usage(session).await?, container_usage(session).await?, volume_usage(session).await?];
    if session.format == Format::Json {
        let whole = |kind: &Kind| {
            json!({
                "type": kind.name, "total": kind.count, "active": kind.active,
                "size_bytes": kind.size, "reclaimable_bytes": kind.reclaimable,
                "objects": kind.objects.iter().map(|(name, used_by, size)| json!({
                    "name": name, "use": used_by, "size_bytes": size,
                })).collect::<Vec<_>>(),
            })
        };
        return output::json_lines(&kinds.iter().map(whole).collect::<Vec<_>>());
    }
    let share = |kind: &Kind| {
        let percent = (kind.reclaimable * 100).checked_div(kind.size).unwrap_or_default();
        format!("{} ({percent}%)", output::bytes(kind.reclaimable))
    };
    let rows: Vec<_> = kinds
        .iter()
        .map(|kind| {
            [
                kind.name.to_owned(),
                kind.count.to_string(),
                kind.active.to_string(),
                output::bytes(kind.size),
                share(kind),
            ]
        })
        .collect();
    output::table(["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"], &rows)?;
    if verbose {
        for kind in &kinds {
            let rows: Vec<_> = kind
                .objects
                .iter()
                .map(|(name, used_by, size)| [name.clone(), used_by.clone(), output::bytes(*size)])
                .collect();
            output::line("")?;
            output::table([&kind.name.to_uppercase(), "USE", "SIZE"], &rows)?;
        }
    }
    Ok(())
}

async fn image_usage(session: &Session) -> Result<Kind> {
    let all = images::all(session, Filters::default()).await?;
    let used = images::used(session).await?;
    let owners = layer_owners(&all);
    let containers = |id: &str| used.get(id).copied().unwrap_or_default();
    let size = layers_usage(&all);
    // Layers of used images stay in any case.
    let kept = all
        .iter()
        .filter(|image| containers(image.id().as_str()) > 0)
        .map(|image| image.size.saturating_sub(shared_size(image, &owners)))
        .sum::<u64>();
    let name = |image: &gantry_api::images::Image| {
        let id = || output::short(image.id().as_str()).to_owned();
        image.names.first().map_or_else(id, |name| familiar(name))
    };
    Ok(Kind {
        name: "images",
        count: all.len(),
        active: all.iter().filter(|image| containers(image.id().as_str()) > 0).count(),
        size,
        reclaimable: size.saturating_sub(kept),
        objects: all
            .iter()
            .map(|image| {
                let used_by = format!("{} containers", containers(image.id().as_str()));
                (name(image), used_by, image.size)
            })
            .collect(),
    })
}

async fn container_usage(session: &Session) -> Result<Kind> {
    let query = ListQuery { all: true, size: true, ..ListQuery::default() };
    let all = session.containers().containers(query).await.map_err(said)?.containers;
    let mut kind = Kind {
        name: "containers",
        count: all.len(),
        active: 0,
        size: 0,
        reclaimable: 0,
        objects: Vec::new(),
    };
    for container in all {
        let state = container.state.status;
        let size = container.size_rw.unwrap_or_default().max(0).unsigned_abs();
        kind.size += size;
        if matches!(state, Status::Running | Status::Paused | Status::Restarting) {
            kind.active += 1;
        } else {
            kind.reclaimable += size;
        }
        kind.objects.push((container.name, state.name().to_owned(), size));
    }
    Ok(kind)
}

async fn volume_usage(session: &Session) -> Result<Kind> {
    let client = volumes::Client::new(&session.peers);
    let all = client.volumes(&[], volumes::Usage::Measured).await.map_err(said)?;
    let mut kind =
        Kind { name: "volumes", count: all.len(), active: 0, size: 0, reclaimable: 0, objects: Vec::new() };
    for volume in all {
        let size = volume.size.max(0).unsigned_abs();
        kind.size += size;
        if volume.ref_count > 0 {
            kind.active += 1;
        } else {
            kind.reclaimable += size;
        }
        kind.objects.push((volume.name, format!("{} containers", volume.ref_count.max(0)), size));
    }
    Ok(kind)
}
