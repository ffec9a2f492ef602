//! Images: what is here. Moving them is in [`transfer`] and [`archives`].

mod archives;
mod transfer;

pub use archives::{load, save};
pub use transfer::{create, push};

use std::collections::HashMap;

use gantry_docker::event;
use gantry_docker::image::{layer_owners, new_name, shared_size, uses};
use gantry_proto::gantry::engine::v1 as engine;
use gantry_proto::gantry::images::v1 as images;
use gantry_types::Reference;
use http::StatusCode;

use crate::call::Call;
use crate::convert;
use crate::convert::image::{self, RowOptions};
use crate::error::Error;
use crate::peers::{ENGINE, IMAGES, Peers, of};
use crate::response::{self, Response};
use crate::wire;
use crate::wire::image::{Platform, PruneResponse, Removed, Summary};
use crate::wire::registry::Distribution;

/// `GET /images/json`
pub async fn list(call: &Call) -> Result<Response, Error> {
    let filters = call.filters(&["dangling", "label", "label!", "before", "since", "reference", "until"])?;
    filters.flag("dangling")?;
    filters.check_until()?;
    let request = images::ListRequest { filters: convert::image_filters(filters) };
    let found = call
        .peers()
        .images()
        .list(call.peers().within(request))
        .await
        .map_err(of(IMAGES))?
        .into_inner()
        .images;
    let shown = Shown {
        manifests: call.query.flag("manifests"),
        // The list tells it since API 1.51.
        containers: call.version.at_least(51),
        shared_size: call.version.at_least(42) && call.query.flag("shared-size"),
    };
    response::ok(&summaries(call, &found, shown).await)
}

/// What rows show beside the images themselves.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    /// The manifests.
    pub manifests: bool,
    /// How many containers use them.
    pub containers: bool,
    /// How much of them other images have too.
    pub shared_size: bool,
}

/// Rows of the list, also for the disk usage. Newest first.
pub async fn summaries(call: &Call, found: &[images::Image], shown: Shown) -> Vec<Summary> {
    let uses = if shown.containers { count_uses(call).await } else { None };
    let owners = if shown.shared_size { Some(layer_owners(found)) } else { None };
    let mut rows: Vec<_> = found
        .iter()
        .map(|of| {
            let options = RowOptions {
                version: call.version,
                manifests: shown.manifests,
                containers: uses.as_ref().map(|uses| uses.get(&of.id).copied().unwrap_or(0)),
                shared_size: owners.as_ref().map(|owners| shared_size(of, owners)),
            };
            image::summary(of, options)
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.created));
    rows
}

/// How many containers use each image; none when the engine is away, for a list is worth showing without.
async fn count_uses(call: &Call) -> Option<HashMap<String, i64>> {
    let info = call.peers().system().info(engine::InfoRequest {}).await.ok()?.into_inner();
    let mut uses = HashMap::new();
    for one in info.image_uses {
        *uses.entry(one.image_id).or_default() += 1;
    }
    Some(uses)
}

/// What containers use: an image that is used must not go, so an engine that is away forbids a removal.
async fn in_use(call: &Call) -> Result<Vec<images::remove_request::Use>, Error> {
    let info = call.peers().system().info(engine::InfoRequest {}).await.map_err(of(ENGINE))?.into_inner();
    Ok(uses(info.image_uses))
}

/// A platform as some routes take it: JSON `{"os","architecture","variant"}`.
pub fn platform(text: &str) -> Result<String, Error> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let platform: Platform = wire::read(text.as_bytes())
        .map_err(|error| Error::bad(format!("failed to parse platform {text:?}: {error}")))?;
    if platform.os.is_empty() || platform.architecture.is_empty() {
        return Err(Error::bad(format!(
            "failed to parse platform {text:?}: both os and architecture must be provided"
        )));
    }
    Ok(platform.slashed())
}

async fn resolve(call: &Call, name: &str, platform: String) -> Result<images::Image, Error> {
    let request = images::ResolveRequest { reference: name.to_owned(), platform, documents_only: false };
    Ok(call.peers().images().resolve(call.peers().within(request)).await.map_err(of(IMAGES))?.into_inner())
}

/// `GET /images/{name}/json`
pub async fn inspect(call: &Call, name: &str) -> Result<Response, Error> {
    let manifests = call.query.flag("manifests");
    let wanted = platform(call.query.text("platform"))?;
    if manifests && !wanted.is_empty() {
        return Err(Error::bad("conflicting options: manifests and platform options cannot both be set"));
    }
    let found = resolve(call, name, wanted).await?;
    response::ok(&image::inspect(&found, call.version, manifests))
}

/// `GET /images/{name}/history`
pub async fn history(call: &Call, name: &str) -> Result<Response, Error> {
    let found = resolve(call, name, platform(call.query.text("platform"))?).await?;
    response::ok(&image::history(&found))
}

/// `POST /images/{name}/tag`
pub async fn tag(call: &Call, name: &str) -> Result<Response, Error> {
    let (repository, tag) = (call.query.text("repo"), call.query.text("tag"));
    let target = new_name(repository, tag)?;
    let request = images::TagRequest { source: name.to_owned(), target: target.to_string() };
    let tagged =
        call.peers().images().tag(call.peers().within(request)).await.map_err(of(IMAGES))?.into_inner();
    let id = tagged.image.map(|image| image.id).unwrap_or_default();
    call.peers().tell(event::tagged(&id, &target.familiar())).await;
    Ok(response::empty(StatusCode::CREATED))
}

/// `DELETE /images/{name}`
pub async fn remove(call: &Call, name: &str) -> Result<Response, Error> {
    let platforms = call.query.all("platforms");
    if platforms.len() > 1 {
        return Err(Error::bad("multiple platforms are not supported"));
    }
    let request = images::RemoveRequest {
        reference: name.to_owned(),
        force: call.query.flag("force"),
        no_prune: call.query.flag("noprune"),
        in_use: in_use(call).await?,
        platform: platform(platforms.first().map_or("", String::as_str))?,
    };
    let removed =
        call.peers().images().remove(call.peers().within(request)).await.map_err(of(IMAGES))?.into_inner();
    response::ok(&report(call, removed).await)
}

/// Tells the event log what became of an image, which has its id for a name there.
async fn publish(peers: &Peers, action: &str, id: &str) {
    peers.tell(event::image(action, id)).await;
}

/// Tells the event log, and lists names before what they named.
async fn report(call: &Call, removed: images::RemoveResponse) -> Vec<Removed> {
    for id in &removed.untagged_from {
        publish(call.peers(), "untag", id).await;
    }
    for id in &removed.deleted {
        publish(call.peers(), "delete", id).await;
    }
    let untagged =
        removed.untagged.into_iter().map(|name| Removed { deleted: String::new(), untagged: name });
    let deleted = removed.deleted.into_iter().map(|id| Removed { deleted: id, untagged: String::new() });
    untagged.chain(deleted).collect()
}

/// `POST /images/prune`
pub async fn prune(call: &Call) -> Result<Response, Error> {
    let mut filters = call.filters(&["dangling", "label", "label!", "until"])?;
    filters.until()?;
    if filters.flag("dangling")?.is_none() {
        filters.add("dangling", "true");
    }
    let request =
        images::PruneRequest { filters: convert::image_filters(filters), in_use: in_use(call).await? };
    let removed =
        call.peers().images().prune(call.peers().within(request)).await.map_err(of(IMAGES))?.into_inner();
    let space_reclaimed = removed.freed_bytes;
    let deleted = report(call, removed).await;
    call.peers().tell(event::pruned("image", space_reclaimed)).await;
    response::ok(&PruneResponse { images_deleted: (!deleted.is_empty()).then_some(deleted), space_reclaimed })
}

/// `GET /distribution/{name}/json`
pub async fn distribution(call: &Call, name: &str) -> Result<Response, Error> {
    let reference =
        Reference::parse_normalized(name).map_err(|error| Error::bad(error.to_string()))?.with_default_tag();
    let request = images::DistributionRequest {
        reference: reference.to_string(),
        auth: Some(image::auth(call.registry_auth())),
    };
    let found = call
        .peers()
        .images()
        .distribution(call.peers().within(request))
        .await
        .map_err(of(IMAGES))?
        .into_inner();
    response::ok(&Distribution {
        descriptor: found.descriptor.as_ref().map(image::descriptor).unwrap_or_default(),
        platforms: found.platforms.iter().map(image::platform).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_as_json() {
        assert_eq!(platform("").expect("none"), "");
        assert_eq!(
            platform(r#"{"os":"linux","architecture":"arm64","variant":"v8"}"#).expect("platform"),
            "linux/arm64/v8"
        );
        for text in ["linux/amd64", r#"{"os":"linux"}"#, "[]"] {
            assert_eq!(platform(text).expect_err(text).status(), StatusCode::BAD_REQUEST);
        }
    }
}
