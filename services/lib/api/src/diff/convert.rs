//! Conversion between the wire and the types of this module.

use gantry_proto::containerd::services::diff::v1 as pb;
use gantry_proto::containerd::types;
use gantry_types::Descriptor;

use super::Difference;
use crate::snapshots::convert::{mounts, parse_mounts};
use crate::time;
use crate::wire::{self, Invalid};

pub(crate) fn descriptor(descriptor: Descriptor) -> types::Descriptor {
    types::Descriptor {
        media_type: descriptor.media_type,
        digest: descriptor.digest.to_string(),
        size: wire::signed(descriptor.size),
        annotations: descriptor.annotations.into_iter().collect(),
    }
}

pub(crate) fn parse_descriptor(descriptor: Option<types::Descriptor>) -> Result<Descriptor, Invalid> {
    let descriptor = descriptor.ok_or(Invalid::Missing { field: "descriptor" })?;
    Ok(Descriptor {
        media_type: descriptor.media_type,
        digest: wire::digest(&descriptor.digest)?,
        size: wire::number("size", descriptor.size)?,
        annotations: descriptor.annotations.into_iter().collect(),
    })
}

pub(super) fn difference(difference: Difference) -> pb::DiffRequest {
    pb::DiffRequest {
        left: mounts(difference.left),
        right: mounts(difference.right),
        media_type: difference.media_type.unwrap_or_default(),
        r#ref: difference.reference.unwrap_or_default(),
        labels: difference.labels.into(),
        source_date_epoch: difference.newest.map(Into::into),
    }
}

pub(super) fn parse_difference(request: pb::DiffRequest) -> Difference {
    let said = |text: String| Some(text).filter(|text| !text.is_empty());
    Difference {
        left: parse_mounts(request.left),
        right: parse_mounts(request.right),
        media_type: said(request.media_type),
        reference: said(request.r#ref),
        labels: request.labels.into(),
        newest: request.source_date_epoch.as_ref().map(time::system_time),
    }
}
