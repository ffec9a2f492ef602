//! Conversions of images.

use gantry_proto::gantry::images::v1 as pb;
use gantry_types::Reference;

use super::{moment, parse_platform, platform};
use crate::diff::convert::{descriptor, parse_descriptor};
use crate::images::{CommitSpec, Image, Layer};
use crate::wire::{self, Invalid};

pub(in crate::images) fn image(image: Image) -> pb::Image {
    pb::Image {
        id: image.id().to_string(),
        chain_id: image.chain_id().map(|chain| chain.to_string()).unwrap_or_default(),
        target: Some(descriptor(image.target)),
        names: image.names,
        digests: image.digests,
        manifest: Some(descriptor(image.manifest)),
        config: Some(descriptor(image.config)),
        config_json: image.config_json,
        platform: Some(platform(&image.platform)),
        layers: image.layers.into_iter().map(layer).collect(),
        size: wire::signed(image.size),
        created_at: Some(image.created_at.into()),
        tagged_at: image.tagged_at.map(Into::into),
        unpacked: image.unpacked,
        labels: image.labels.into_iter().collect(),
        content_size: wire::signed(image.content_size),
    }
}

pub(in crate::images) fn parse_image(image: pb::Image) -> Result<Image, Invalid> {
    Ok(Image {
        target: parse_descriptor(image.target)?,
        names: image.names,
        digests: image.digests,
        manifest: parse_descriptor(image.manifest)?,
        config: parse_descriptor(image.config)?,
        config_json: image.config_json,
        platform: parse_platform(&image.platform.unwrap_or_default()),
        layers: image.layers.into_iter().map(parse_layer).collect::<Result<_, _>>()?,
        size: wire::number("size", image.size)?,
        content_size: wire::number("content_size", image.content_size)?,
        created_at: moment(image.created_at),
        tagged_at: image.tagged_at.map(|at| moment(Some(at))),
        unpacked: image.unpacked,
        labels: image.labels.into_iter().collect(),
    })
}

fn layer(layer: Layer) -> pb::Layer {
    pb::Layer {
        descriptor: Some(descriptor(layer.descriptor)),
        diff_id: layer.diff_id.to_string(),
        unpacked_size: layer.unpacked_size.map_or(-1, wire::signed),
    }
}

fn parse_layer(layer: pb::Layer) -> Result<Layer, Invalid> {
    Ok(Layer {
        descriptor: parse_descriptor(layer.descriptor)?,
        diff_id: layer.diff_id.parse()?,
        unpacked_size: u64::try_from(layer.unpacked_size).ok(),
    })
}

pub(in crate::images) fn commit(spec: CommitSpec) -> pb::CommitRequest {
    pb::CommitRequest {
        parent: spec.parent,
        manifest: Some(descriptor(spec.manifest)),
        snapshotter: spec.snapshotter,
        snapshot: spec.snapshot,
        reference: spec.reference.as_ref().map(ToString::to_string).unwrap_or_default(),
        comment: spec.comment,
        author: spec.author,
        changes: spec.changes,
        config_json: spec.config_json,
        created_by: spec.created_by,
    }
}

pub(in crate::images) fn parse_commit(request: pb::CommitRequest) -> Result<CommitSpec, Invalid> {
    let reference = match request.reference.as_str() {
        "" => None,
        text => Some(Reference::parse_normalized(text)?),
    };
    Ok(CommitSpec {
        parent: request.parent,
        manifest: parse_descriptor(request.manifest)?,
        snapshotter: request.snapshotter,
        snapshot: request.snapshot,
        reference,
        comment: request.comment,
        author: request.author,
        changes: request.changes,
        config_json: request.config_json,
        created_by: request.created_by,
    })
}
