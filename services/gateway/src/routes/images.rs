//! Images: list, inspect, history, tag, remove, prune. [`transfer`] and [`archives`] move them.

mod archives;
mod transfer;

pub use archives::{load, save};
pub use transfer::{create, push};

use std::collections::HashMap;

use gantry_api::engine::system::Inspect as _;
use gantry_api::images::{self, Force, Inspect as _, Look, Manage as _, Registries as _};
use gantry_docker::event;
use gantry_docker::image::{layer_owners, new_name, shared_size, uses};
use gantry_types::Reference;
use http::StatusCode;

use crate::call::Call;
use crate::convert;
use crate::convert::image::{self, RowOptions};
use crate::error::Error;
use crate::peers::{Peers, failed};
use crate::response::{self, Response};
use crate::wire;
use crate::wire::image::{Platform, PruneResponse, Removed, Summary};
use crate::wire::registry::Distribution;

/// `GET /images/json`
pub async fn list(call: &Call) -> Result<Response, Error> {
    let filters = call.filters(&["dangling", "label", "label!", "before", "since", "reference", "until"])?;
    filters.flag("dangling")?;
    filters.check_until()?;
    let peers = call.peers();
    let found = peers.images().images(peers.namespace(), &convert::filters(filters)).await.map_err(failed)?;
    let shown = Shown {
        manifests: call.query.flag("manifests"),
        // The list contains it since API 1.51.
        containers: call.version.at_least(51),
        shared_size: call.version.at_least(42) && call.query.flag("shared-size"),
    };
    response::ok(&summaries(call, &found, shown).await)
}

/// What rows show besides.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    /// The manifests.
    pub manifests: bool,
    /// How many containers use each image.
    pub containers: bool,
    /// How many bytes other images have too.
    pub shared_size: bool,
}

/// Rows for the list and for `GET /system/df`, newest first.
pub async fn summaries(call: &Call, found: &[images::Image], shown: Shown) -> Vec<Summary> {
    let uses = if shown.containers { count_uses(call).await } else { None };
    let owners = if shown.shared_size { Some(layer_owners(found)) } else { None };
    let mut rows: Vec<_> = found
        .iter()
        .map(|of| {
            let options = RowOptions {
                version: call.version,
                manifests: shown.manifests,
                containers: uses.as_ref().map(|uses| uses.get(of.id().as_str()).copied().unwrap_or(0)),
                shared_size: owners.as_ref().map(|owners| image::signed(shared_size(of, owners))),
            };
            image::summary(of, options)
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.created));
    rows
}

/// How many containers use each image; empty while the engine is away, because the list is of use without.
async fn count_uses(call: &Call) -> Option<HashMap<String, i64>> {
    let info = call.peers().system().info().await.ok()?;
    let mut uses = HashMap::new();
    for one in info.image_uses {
        *uses.entry(one.image_id).or_default() += 1;
    }
    Some(uses)
}

/// The images that containers use. It fails while the engine is away, because an image in use must not be removed.
async fn in_use(call: &Call) -> Result<Vec<images::Use>, Error> {
    let info = call.peers().system().info().await.map_err(failed)?;
    Ok(uses(info.image_uses))
}

/// A platform as some routes take it: JSON `{"os","architecture","variant"}`.
pub fn platform(text: &str) -> Result<Option<gantry_types::Platform>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let platform: Platform = wire::read(text.as_bytes())
        .map_err(|error| Error::bad(format!("failed to parse platform {text:?}: {error}")))?;
    if platform.os.is_empty() || platform.architecture.is_empty() {
        return Err(Error::bad(format!(
            "failed to parse platform {text:?}: both os and architecture must be provided"
        )));
    }
    slashed(&platform.slashed())
}

/// A platform as other routes take it: `os/architecture[/variant]`; none for the empty text.
pub fn slashed(text: &str) -> Result<Option<gantry_types::Platform>, Error> {
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|error: gantry_types::Error| Error::bad(error.to_string())),
    }
}

async fn resolve(
    call: &Call,
    name: &str,
    platform: Option<&gantry_types::Platform>,
) -> Result<images::Image, Error> {
    let peers = call.peers();
    peers.images().image(peers.namespace(), name, platform, Look::Everything).await.map_err(failed)
}

/// `GET /images/{name}/json`
pub async fn inspect(call: &Call, name: &str) -> Result<Response, Error> {
    let manifests = call.query.flag("manifests");
    let wanted = platform(call.query.text("platform"))?;
    if manifests && wanted.is_some() {
        return Err(Error::bad("conflicting options: manifests and platform options cannot both be set"));
    }
    let found = resolve(call, name, wanted.as_ref()).await?;
    response::ok(&image::inspect(&found, call.version, manifests))
}

/// `GET /images/{name}/history`
pub async fn history(call: &Call, name: &str) -> Result<Response, Error> {
    let found = resolve(call, name, platform(call.query.text("platform"))?.as_ref()).await?;
    response::ok(&image::history(&found))
}

/// `POST /images/{name}/tag`
pub async fn tag(call: &Call, name: &str) -> Result<Response, Error> {
    let (repository, tag) = (call.query.text("repo"), call.query.text("tag"));
    let target = new_name(repository, tag)?;
    let peers = call.peers();
    let tagged = peers.images().tag_image(peers.namespace(), name, &target).await.map_err(failed)?;
    peers.tell(event::tagged(tagged.id().as_str(), &target.familiar())).await;
    Ok(response::empty(StatusCode::CREATED))
}

/// `DELETE /images/{name}`
pub async fn remove(call: &Call, name: &str) -> Result<Response, Error> {
    let platforms = call.query.all("platforms");
    if platforms.len() > 1 {
        return Err(Error::bad("multiple platforms are not supported"));
    }
    let removal = images::Removal {
        text: name.to_owned(),
        force: if call.query.flag("force") { Force::Yes } else { Force::No },
        in_use: in_use(call).await?,
        platform: platform(platforms.first().map_or("", String::as_str))?,
    };
    let peers = call.peers();
    let removed = peers.images().remove_image(peers.namespace(), removal).await.map_err(failed)?;
    response::ok(&report(call, removed).await)
}

/// Adds an image's event to the event log, by the image's id.
async fn publish(peers: &Peers, action: &str, id: &str) {
    peers.tell(event::image(action, id)).await;
}

/// Adds removals to the event log, and lists removed names before the images that they named.
async fn report(call: &Call, removed: images::Removed) -> Vec<Removed> {
    for id in &removed.untagged_from {
        publish(call.peers(), "untag", id.as_str()).await;
    }
    for id in &removed.deleted {
        publish(call.peers(), "delete", id.as_str()).await;
    }
    let untagged =
        removed.untagged.into_iter().map(|name| Removed { deleted: String::new(), untagged: name });
    let deleted = removed.deleted.iter();
    let deleted = deleted.map(|id| Removed { deleted: id.to_string(), untagged: String::new() });
    untagged.chain(deleted).collect()
}

/// `POST /images/prune`
pub async fn prune(call: &Call) -> Result<Response, Error> {
    let mut filters = call.filters(&["dangling", "label", "label!", "until"])?;
    filters.until()?;
    if filters.flag("dangling")?.is_none() {
        filters.add("dangling", "true");
    }
    let (peers, filters, in_use) = (call.peers(), convert::filters(filters), in_use(call).await?);
    let removed = peers.images().prune_images(peers.namespace(), &filters, &in_use).await.map_err(failed)?;
    let space_reclaimed = removed.freed;
    let deleted = report(call, removed).await;
    call.peers().tell(event::pruned("image", space_reclaimed)).await;
    response::ok(&PruneResponse { images_deleted: (!deleted.is_empty()).then_some(deleted), space_reclaimed })
}

/// `GET /distribution/{name}/json`
pub async fn distribution(call: &Call, name: &str) -> Result<Response, Error> {
    let reference =
        Reference::parse_normalized(name).map_err(|error| Error::bad(error.to_string()))?.with_default_tag();
    let credentials = image::credentials(call.registry_auth());
    let found = call.peers().images().distribution(&reference, &credentials).await.map_err(failed)?;
    response::ok(&Distribution {
        descriptor: image::descriptor(&found.descriptor),
        platforms: found.platforms.iter().map(image::platform).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_as_json() {
        assert_eq!(platform("").expect("none"), None);
        assert_eq!(
            platform(r#"{"os":"linux","architecture":"arm64","variant":"v8"}"#).expect("platform"),
            Some("linux/arm64/v8".parse().expect("a platform"))
        );
        for text in ["linux/amd64", r#"{"os":"linux"}"#, "[]"] {
            assert_eq!(platform(text).expect_err(text).status(), StatusCode::BAD_REQUEST);
        }
    }
}
