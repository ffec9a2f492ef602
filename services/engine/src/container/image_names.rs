//! Whether the names that containers were made by still lead to their images: where one does not, lists show the image's id.

use std::collections::BTreeMap;
use std::sync::Arc;

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
                if let Ok(mut events) = engine.peers.image_names().await {
                    // Of what happened before nothing is heard.
                    engine.look_after_names(|_| true).await;
                    while let Some(changed) = events.next().await {
                        engine.look_after_names(|name| name == changed).await;
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
