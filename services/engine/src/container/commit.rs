//! An image of what a container has become.
//!
//! The container is frozen meanwhile, if its user wants that; its turn is given back, so that it can be killed at any
//! moment. An engine that ends in between leaves it frozen and recorded as running: the next one thaws it. Health is
//! what it was: nothing is probed meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_api::engine::{CommitSpec, Status};

use super::Container;
use super::life::{Pause, Phase};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::image::ImageConfig;
use crate::peers::{Commit, Manifest};
use crate::record::Record;

impl Engine {
    /// Makes an image of a container; the answer is its id.
    pub async fn commit(&self, request: CommitSpec) -> Result<String> {
        let container = self.index.find(&request.container)?;
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
        let frozen = if request.pause { self.freeze(&container).await? } else { None };
        let made = self.make_image(&container.record(), &request).await;
        if let Ok(image) = &made {
            let named = gantry_types::Reference::parse_normalized(&request.reference);
            let named = named.map(|named| named.familiar()).unwrap_or_default();
            let more =
                [("comment", request.comment.clone()), ("imageID", image.clone()), ("imageRef", named)];
            let more = more.map(|(key, value)| (key.to_owned(), value));
            self.publish_container(&container, "commit", BTreeMap::from(more));
        }
        if let Some(run) = frozen {
            self.unfreeze(&container, run).await;
        }
        made
    }

    async fn make_image(&self, record: &Record, request: &CommitSpec) -> Result<String> {
        let own = ImageConfig::of(&record.config);
        let config = ImageConfig::of(&own.merge(request.config.clone().unwrap_or_default()));
        let created_by = record.config.cmd.as_ref().map(|cmd| cmd.join(" ")).unwrap_or_default();
        self.peers
            .commit_image(Commit {
                parent: record.image_id.clone(),
                manifest: Manifest {
                    media_type: record.manifest_media_type.clone(),
                    digest: record.manifest_digest.clone(),
                    size: record.manifest_size,
                },
                snapshotter: record.snapshotter.clone(),
                snapshot: record.id.clone(),
                reference: request.reference.clone(),
                comment: request.comment.clone(),
                author: request.author.clone(),
                changes: request.changes.clone(),
                config_json: config.to_json().into(),
                created_by,
            })
            .await
    }

    /// Freezes a container that runs; the answer is its run, to be thawed by.
    async fn freeze(&self, container: &Arc<Container>) -> Result<Option<u64>> {
        let _turn = container.operate().await;
        if container.status() != Status::Running {
            return Ok(None);
        }
        self.peers.pause_task(container.id()).await?;
        let run = container.change(|life| life.freeze(Pause::ForImage).map(|()| life.run()))?;
        self.publish_container(container, "pause", BTreeMap::new());
        Ok(Some(run))
    }

    /// Thaws what was frozen, unless somebody has done so, or has ended it.
    async fn unfreeze(&self, container: &Arc<Container>, run: u64) {
        let _turn = container.operate().await;
        let still = {
            let life = container.life();
            life.is_in(run) && life.running().is_some_and(|running| running.pause == Pause::ForImage)
        };
        if !still {
            return;
        }
        match self.thaw(container).await {
            Ok(()) => self.publish_container(container, "unpause", BTreeMap::new()),
            Err(error) => {
                tracing::error!(container = %container.id(), error = %gantry_rpc::chain(&error), "container stays frozen after a commit");
            }
        }
    }
}
