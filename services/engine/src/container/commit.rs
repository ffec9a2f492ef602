//! Makes an image from a container.
//!
//! The container is frozen meanwhile if the user asked for that. Its operation lock is released, so that the
//! container can be killed at any time. If the engine ends in between, the container stays frozen while its record
//! says that it runs; the next engine thaws it. Its health does not change, because no probes run meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_api::engine::{CommitSpec, Status};
use gantry_api::images as api;
use gantry_types::{Descriptor, Reference};

use super::Container;
use super::kill::thaw;
use super::life::{Pause, Phase};
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::image::ImageConfig;
use crate::peers::{Images, Tasks};
use crate::record::Record;

/// Makes an image from a container and returns the image's id.
pub async fn commit(
    containers: &Containers,
    images: &Images,
    tasks: &Tasks,
    events: &Events,
    request: CommitSpec,
) -> Result<String> {
    let container = containers.find(&request.container)?;
    let why = {
        let life = container.life();
        match life.phase() {
            Phase::Dead => Some("Dead"),
            _ => life.is_going().then_some("being removed"),
        }
    };
    if let Some(why) = why {
        return Err(Error::Conflict(format!(
            "You cannot commit container {} which is {why}",
            container.id()
        )));
    }
    let frozen = if request.pause { freeze(tasks, events, &container).await? } else { None };
    let made = make_image(images, &container.record(), &request).await;
    if let Ok(image) = &made {
        let named = gantry_types::Reference::parse_normalized(&request.reference);
        let named = named.map(|named| named.familiar()).unwrap_or_default();
        let more = [("comment", request.comment.clone()), ("imageID", image.clone()), ("imageRef", named)];
        let more = more.map(|(key, value)| (key.to_owned(), value));
        events.publish_container(&container, "commit", BTreeMap::from(more));
    }
    if let Some(run) = frozen {
        unfreeze(tasks, events, &container, run).await;
    }
    made
}

async fn make_image(images: &Images, record: &Record, request: &CommitSpec) -> Result<String> {
    let own = ImageConfig::of(&record.config);
    let config = ImageConfig::of(&own.merge(request.config.clone().unwrap_or_default()));
    let created_by = record.config.cmd.as_ref().map(|cmd| cmd.join(" ")).unwrap_or_default();
    // The client has chosen the reference, and also the name of the image that the container was made from.
    let odd = |error: gantry_types::Error| Error::Invalid(error.to_string());
    let manifest = Descriptor::new(
        record.manifest_media_type.clone(),
        record.manifest_digest.parse().map_err(odd)?,
        u64::try_from(record.manifest_size).unwrap_or_default(),
    );
    let reference = match request.reference.as_str() {
        "" => None,
        text => Some(Reference::parse_normalized(text).map_err(odd)?),
    };
    images
        .commit(api::CommitSpec {
            parent: record.image_id.clone(),
            manifest,
            snapshotter: record.snapshotter.clone(),
            snapshot: record.id.clone(),
            reference,
            comment: request.comment.clone(),
            author: request.author.clone(),
            changes: request.changes.clone(),
            config_json: config.to_json().into(),
            created_by,
        })
        .await
}

/// Freezes a running container and returns its run, which `unfreeze` needs.
async fn freeze(tasks: &Tasks, events: &Events, container: &Arc<Container>) -> Result<Option<u64>> {
    let _turn = container.operate().await;
    if container.status() != Status::Running {
        return Ok(None);
    }
    tasks.pause(container.task()).await?;
    let run = container.change(|life| life.freeze(Pause::ForImage).map(|()| life.run()))?;
    events.publish_container(container, "pause", BTreeMap::new());
    Ok(Some(run))
}

/// Thaws the container, unless another caller has thawed it or its run has ended.
async fn unfreeze(tasks: &Tasks, events: &Events, container: &Arc<Container>, run: u64) {
    let _turn = container.operate().await;
    let still = {
        let life = container.life();
        life.is_in(run) && life.running().is_some_and(|running| running.pause == Pause::ForImage)
    };
    if !still {
        return;
    }
    match thaw(tasks, container).await {
        Ok(()) => events.publish_container(container, "unpause", BTreeMap::new()),
        Err(error) => {
            tracing::error!(container = %container.id(), error = %gantry_rpc::chain(&error), "container stays frozen after a commit");
        }
    }
}
