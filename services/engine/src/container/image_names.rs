//! Tracks whether the names that containers were created from still lead to their images. If not, lists show the
//! image's id.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Container;
use crate::containers::Containers;
use crate::error::Error;
use crate::peers::{Images, Published};
use crate::retry::RESUBSCRIBE;

/// Follows the changes of images' names, without end.
pub(crate) async fn follow(containers: Containers, images: Images, published: Published) {
    loop {
        if let Ok(mut events) = published.image_names().await {
            // Events before the subscription were missed, so all names are checked.
            look_after_names(&containers, &images, |_| true).await;
            while let Some(changed) = events.next().await {
                look_after_names(&containers, &images, |name| name == changed).await;
            }
        }
        tokio::time::sleep(RESUBSCRIBE).await;
    }
}

async fn look_after_names(containers: &Containers, images: &Images, is_concerned: impl Fn(&str) -> bool) {
    let mut concerned: BTreeMap<String, Vec<Arc<Container>>> = BTreeMap::new();
    for container in containers.all() {
        let name = container.record().image_name.clone();
        // A container that was created from an image id has no name.
        if !name.is_empty() && is_concerned(&name) {
            concerned.entry(name).or_default().push(container);
        }
    }
    for (name, of_it) in concerned {
        let leads_to = match images.resolve(&name, "").await {
            Ok(image) => image.id().to_string(),
            Err(Error::NoSuchImage(_)) => String::new(),
            Err(error) => {
                tracing::debug!(image = name, error = %gantry_rpc::chain(&error), "a name is not looked after");
                continue;
            }
        };
        for container in of_it {
            container.set_image_name_lost(container.record().image_id != leads_to);
        }
    }
}
