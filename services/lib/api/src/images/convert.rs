//! Converts between the messages of the wire and the types of the traits.

mod image;
mod progress;
mod record;
mod registry;

use std::time::SystemTime;

use gantry_proto::containerd::types;
use gantry_proto::gantry::images::v1 as pb;
use gantry_types::Platform;
use prost_types::Timestamp;

pub(super) use image::{commit, image, parse_commit, parse_image};
pub(super) use progress::{layer, parse_layer, parse_pull, parse_push, pull, push};
pub(super) use record::{new_record, parse_new_record, parse_record, parse_update, record, update};
pub(super) use registry::{
    auth, distribution, parse_auth, parse_distribution, parse_pull_spec, parse_push_spec, parse_registry,
    pull_spec, push_spec, registry,
};

use super::{Filter, Force, Removal, Removed, Use};
use crate::wire::{self, Invalid};

/// Converts a time, which may be before 1970. The epoch if it is absent.
pub(super) fn moment(timestamp: Option<Timestamp>) -> SystemTime {
    timestamp.and_then(|at| SystemTime::try_from(at).ok()).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// A platform in the form of requests; empty for none.
pub(super) fn platform_text(platform: Option<&Platform>) -> String {
    platform.map(ToString::to_string).unwrap_or_default()
}

pub(super) fn parse_platform_text(text: &str) -> Result<Option<Platform>, Invalid> {
    match text.trim() {
        "" => Ok(None),
        text => Ok(Some(text.parse()?)),
    }
}

fn platform(platform: &Platform) -> types::Platform {
    types::Platform {
        os: platform.os().to_owned(),
        architecture: platform.architecture().to_owned(),
        variant: platform.variant().unwrap_or_default().to_owned(),
        ..Default::default()
    }
}

fn parse_platform(platform: &types::Platform) -> Platform {
    Platform::new(&platform.os, &platform.architecture, &platform.variant)
}

/// A text; `None` if it is empty.
pub(super) fn said(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

pub(super) fn filters(filters: &[Filter]) -> Vec<pb::Filter> {
    let filter = |filter: &Filter| pb::Filter { key: filter.key.clone(), values: filter.values.clone() };
    filters.iter().map(filter).collect()
}

pub(super) fn parse_filters(filters: Vec<pb::Filter>) -> Vec<Filter> {
    filters.into_iter().map(|filter| Filter { key: filter.key, values: filter.values }).collect()
}

pub(super) fn uses(uses: &[Use]) -> Vec<pb::remove_request::Use> {
    let use_of = |one: &Use| pb::remove_request::Use {
        container_id: one.container.clone(),
        reference: one.reference.clone(),
        image_id: one.image.clone(),
        running: one.running,
    };
    uses.iter().map(use_of).collect()
}

pub(super) fn parse_uses(uses: Vec<pb::remove_request::Use>) -> Vec<Use> {
    let use_of = |one: pb::remove_request::Use| Use {
        container: one.container_id,
        reference: one.reference,
        image: one.image_id,
        running: one.running,
    };
    uses.into_iter().map(use_of).collect()
}

pub(super) fn removal(removal: &Removal) -> pb::RemoveRequest {
    pb::RemoveRequest {
        reference: removal.text.clone(),
        force: removal.force == Force::Yes,
        in_use: uses(&removal.in_use),
        platform: platform_text(removal.platform.as_ref()),
        ..Default::default()
    }
}

pub(super) fn parse_removal(request: pb::RemoveRequest) -> Result<Removal, Invalid> {
    Ok(Removal {
        text: request.reference,
        force: if request.force { Force::Yes } else { Force::No },
        in_use: parse_uses(request.in_use),
        platform: parse_platform_text(&request.platform)?,
    })
}

pub(super) fn removed(removed: Removed) -> pb::RemoveResponse {
    pb::RemoveResponse {
        untagged: removed.untagged,
        untagged_from: removed.untagged_from.iter().map(ToString::to_string).collect(),
        deleted: removed.deleted.iter().map(ToString::to_string).collect(),
        freed_bytes: removed.freed,
    }
}

pub(super) fn parse_removed(removed: pb::RemoveResponse) -> Result<Removed, Invalid> {
    let digests = |texts: &[String]| texts.iter().map(|text| wire::digest(text)).collect::<Result<_, _>>();
    Ok(Removed {
        untagged_from: digests(&removed.untagged_from)?,
        deleted: digests(&removed.deleted)?,
        untagged: removed.untagged,
        freed: removed.freed_bytes,
    })
}
