//! Whether the names that containers were made by still lead to their images: where one does not, lists show the image's id.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_proto::containerd::services::images::v1::{ImageCreate, ImageDelete, ImageUpdate};
use gantry_proto::containerd::types::Envelope;

use super::Container;
use super::exit::RESUBSCRIBE;
use crate::engine::Engine;
use crate::error::Error;

impl Engine {
    /// Follows what becomes of the names of images.
    pub(crate) fn follow_image_names(&self) {
        let engine = self.clone();
        self.spawn("follow the names of images", async move {
            loop {
                if let Ok(mut events) = engine.peers.subscribe("topic~=\"^/images/\"").await {
                    // Of what happened before nothing is heard.
                    engine.look_after_names(|_| true).await;
                    while let Ok(Some(envelope)) = events.message().await {
                        if let Some(changed) = name_in(&envelope) {
                            engine.look_after_names(|name| name == changed).await;
                        }
                    }
                }
                tokio::time::sleep(RESUBSCRIBE).await;
            }
        });
    }

    async fn look_after_names(&self, is_concerned: impl Fn(&str) -> bool) {
        let mut concerned: BTreeMap<String, Vec<Arc<Container>>> = BTreeMap::new();
        for container in self.index.all() {
            let name = container.record().image_name.clone();
            // One that was made by an id has none.
            if !name.is_empty() && is_concerned(&name) {
                concerned.entry(name).or_default().push(container);
            }
        }
        for (name, containers) in concerned {
            let leads_to = match self.peers.resolve_image(&name, "").await {
                Ok(image) => image.id,
                Err(Error::NoSuchImage(_)) => String::new(),
                Err(error) => {
                    tracing::debug!(image = name, error = %gantry_rpc::chain(&error), "a name is not looked after");
                    continue;
                }
            };
            for container in containers {
                container.set_image_name_lost(container.record().image_id != leads_to);
            }
        }
    }
}

/// The name that an event is about.
fn name_in(envelope: &Envelope) -> Option<String> {
    use gantry_proto::unpack;
    let event = envelope.event.as_ref()?;
    let created = unpack::<ImageCreate>(event).and_then(Result::ok).map(|event| event.name);
    let updated = || unpack::<ImageUpdate>(event).and_then(Result::ok).map(|event| event.name);
    let deleted = || unpack::<ImageDelete>(event).and_then(Result::ok).map(|event| event.name);
    created.or_else(updated).or_else(deleted)
}
