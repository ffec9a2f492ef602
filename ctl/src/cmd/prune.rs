//! `gantry prune`, and the prunes of one kind of objects.

use anyhow::{Result, bail};
use gantry_api::Filter;
use gantry_api::engine::containers::Manage as _;
use gantry_api::engine::volumes::{Client, Manage as _};
use gantry_api::images::Manage as _;
use gantry_docker::network::{PRUNE_FILTERS, is_prunable};
use gantry_docker::{Filters, event};

use crate::cli::command::{Prune, SystemPrune};
use crate::cmd::{Session, images as image, net, said};
use crate::output;

const LABELS: [&str; 2] = ["label", "label!"];
const LABELS_AND_AGE: [&str; 3] = ["label", "label!", "until"];

fn filters(prune: &Prune, known: &[&str]) -> Result<Filters> {
    let filters = Filters::pairs(&prune.filters, known)?;
    filters.until()?;
    Ok(filters)
}

fn confirmed(prune: &Prune, what: &str) -> Result<bool> {
    Ok(prune.force || output::confirm(&format!("This removes {what}."))?)
}

/// Prunes everything.
pub async fn system(session: &Session, arguments: &SystemPrune) -> Result<()> {
    let filters = filters(&arguments.prune, &LABELS_AND_AGE)?;
    if arguments.volumes && filters.has("until") {
        bail!("the filter 'until' is not for volumes: leave out --volumes");
    }
    let images = if arguments.all { "images that no container uses" } else { "images without a name" };
    let volumes = if arguments.volumes { ", anonymous volumes that no container uses" } else { "" };
    let what = format!("containers that do not run, networks that no container is on{volumes}, {images}");
    if !confirmed(&arguments.prune, &what)? {
        return Ok(());
    }
    let mut freed = prune_containers(session, filters.clone()).await?;
    prune_networks(session, &filters).await?;
    if arguments.volumes {
        freed += prune_volumes(session, filters.clone(), false).await?;
    }
    freed += prune_images(session, filters, arguments.all).await?;
    total(freed)
}

pub async fn images(session: &Session, prune: &Prune, all: bool) -> Result<()> {
    let filters = filters(prune, &LABELS_AND_AGE)?;
    let what = if all { "images that no container uses" } else { "images without a name" };
    if !confirmed(prune, what)? {
        return Ok(());
    }
    total(prune_images(session, filters, all).await?)
}

pub async fn volumes(session: &Session, prune: &Prune, all: bool) -> Result<()> {
    let filters = filters(prune, &LABELS)?;
    let kind = if all { "volumes" } else { "anonymous volumes" };
    if !confirmed(prune, &format!("{kind} that no container uses, and what is in them"))? {
        return Ok(());
    }
    total(prune_volumes(session, filters, all).await?)
}

pub async fn networks(session: &Session, prune: &Prune) -> Result<()> {
    let filters = filters(prune, &PRUNE_FILTERS)?;
    if confirmed(prune, "networks that no container is on")? {
        prune_networks(session, &filters).await?;
    }
    Ok(())
}

fn total(freed: u64) -> Result<()> {
    output::line(format_args!("freed {}", output::bytes(freed)))
}

fn removed(kind: &str, names: &[String]) -> Result<()> {
    names.iter().try_for_each(|name| output::line(format_args!("removed {kind} {name}")))
}

async fn prune_containers(session: &Session, filters: Filters) -> Result<u64> {
    let filters: Vec<_> = filters.into_pairs().map(|(key, values)| Filter { key, values }).collect();
    let pruned = session.containers().prune_containers(&filters).await.map_err(said)?;
    removed("container", &pruned.deleted)?;
    Ok(pruned.space_reclaimed)
}

async fn prune_volumes(session: &Session, mut filters: Filters, all: bool) -> Result<u64> {
    if all {
        filters.add("all", "true");
    }
    let filters: Vec<_> = filters.into_pairs().map(|(key, values)| Filter { key, values }).collect();
    let pruned = Client::new(&session.peers).prune_volumes(&filters).await.map_err(said)?;
    removed("volume", &pruned.deleted)?;
    Ok(pruned.space_reclaimed)
}

async fn prune_networks(session: &Session, filters: &Filters) -> Result<()> {
    let until = filters.until()?;
    for found in net::all(session).await? {
        // Another client may connect a container to the network, or remove it, meanwhile.
        if is_prunable(&found, filters, until.as_ref()) && net::remove_one(session, &found).await.is_ok() {
            removed("network", std::slice::from_ref(&found.name))?;
        }
    }
    session.tell(event::pruned("network", 0)).await;
    Ok(())
}

async fn prune_images(session: &Session, mut filters: Filters, all: bool) -> Result<u64> {
    filters.add("dangling", if all { "false" } else { "true" });
    let filters: Vec<_> = filters.into_pairs().map(|(key, values)| Filter { key, values }).collect();
    let in_use = image::in_use(session).await?;
    let pruned =
        session.images().prune_images(&session.namespace(), &filters, &in_use).await.map_err(said)?;
    image::told(session, &pruned).await?;
    session.tell(event::pruned("image", pruned.freed)).await;
    Ok(pruned.freed)
}
