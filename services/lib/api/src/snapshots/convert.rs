//! Conversion between the wire and the types of this module.

use gantry_proto::containerd::services::snapshots::v1 as pb;
use gantry_proto::containerd::types;
use gantry_proto::gantry::snapshots::v1 as unpack;
use gantry_types::{Descriptor, Labels, media_type};
use unpack::unpack_progress::State;

use super::{Info, Kind, Layer, Mount, Progress, SnapshotName, Step, Usage};
use crate::content::IngestRef;
use crate::diff::convert::{descriptor, parse_descriptor};
use crate::wire::{self, Invalid};

pub(crate) fn mounts(mounts: Vec<Mount>) -> Vec<types::Mount> {
    let mount = |mount: Mount| types::Mount {
        r#type: mount.fs_type,
        source: mount.source,
        target: mount.target,
        options: mount.options,
    };
    mounts.into_iter().map(mount).collect()
}

pub(crate) fn parse_mounts(mounts: Vec<types::Mount>) -> Vec<Mount> {
    let mount = |mount: types::Mount| Mount {
        fs_type: mount.r#type,
        source: mount.source,
        target: mount.target,
        options: mount.options,
    };
    mounts.into_iter().map(mount).collect()
}

/// The field `parent`.
pub(super) fn parent(parent: Option<&SnapshotName>) -> String {
    parent.map(ToString::to_string).unwrap_or_default()
}

pub(super) fn parse_parent(parent: String) -> Option<SnapshotName> {
    // Parsing fails only for the empty text.
    SnapshotName::try_from(parent).ok()
}

pub(super) fn info(info: Info) -> pb::Info {
    let kind = match info.kind {
        Kind::View => pb::Kind::View,
        Kind::Active => pb::Kind::Active,
        Kind::Committed => pb::Kind::Committed,
    };
    pb::Info {
        name: info.name.to_string(),
        parent: parent(info.parent.as_ref()),
        kind: kind.into(),
        created_at: Some(info.created_at.into()),
        updated_at: Some(info.updated_at.into()),
        labels: info.labels.into(),
    }
}

pub(super) fn parse_info(info: pb::Info) -> Result<Info, Invalid> {
    let kind = match info.kind() {
        pb::Kind::View => Kind::View,
        pb::Kind::Active => Kind::Active,
        pb::Kind::Committed => Kind::Committed,
        pb::Kind::Unknown => return Err(Invalid::Number { field: "kind", value: info.kind.into() }),
    };
    Ok(Info {
        kind,
        created_at: wire::moment(info.created_at.as_ref()),
        updated_at: wire::moment(info.updated_at.as_ref()),
        name: info.name.try_into()?,
        parent: parse_parent(info.parent),
        labels: Labels::from(info.labels),
    })
}

pub(super) fn usage(usage: Usage) -> pb::UsageResponse {
    pb::UsageResponse { size: wire::signed(usage.size), inodes: wire::signed(usage.inodes) }
}

pub(super) fn parse_usage(usage: pb::UsageResponse) -> Result<Usage, Invalid> {
    let number = wire::number;
    Ok(Usage { size: number("size", usage.size)?, inodes: number("inodes", usage.inodes)? })
}

pub(super) fn layer(layer: Layer) -> unpack::Layer {
    // The unpacker detects the compression from the bytes, whatever the media type.
    let blob = Descriptor::new(media_type::OCI_LAYER, layer.blob, layer.size);
    unpack::Layer {
        descriptor: Some(descriptor(blob)),
        r#ref: layer.reference.map(|reference| reference.to_string()).unwrap_or_default(),
        diff_id: layer.diff_id.to_string(),
    }
}

pub(super) fn parse_layer(layer: unpack::Layer) -> Result<Layer, Invalid> {
    let blob = parse_descriptor(layer.descriptor)?;
    Ok(Layer {
        blob: blob.digest,
        size: blob.size,
        // Parsing fails only for the empty text.
        reference: IngestRef::try_from(layer.r#ref).ok(),
        diff_id: layer.diff_id.parse()?,
    })
}

pub(super) fn progress(progress: Progress) -> unpack::UnpackProgress {
    let state = match progress.step {
        Step::Waiting => State::Waiting,
        Step::Extracting => State::Extracting,
        Step::Extracted => State::Extracted,
        Step::Exists => State::Exists,
    };
    unpack::UnpackProgress {
        layer: u32::try_from(progress.layer).unwrap_or(u32::MAX),
        state: state.into(),
        offset: wire::signed(progress.offset),
        total: wire::signed(progress.total),
        chain_id: progress.chain.to_string(),
    }
}

pub(super) fn parse_progress(progress: unpack::UnpackProgress) -> Result<Progress, Invalid> {
    let step = match progress.state() {
        State::Waiting => Step::Waiting,
        State::Extracting => Step::Extracting,
        State::Extracted => Step::Extracted,
        State::Exists => Step::Exists,
    };
    Ok(Progress {
        layer: usize::try_from(progress.layer).unwrap_or(usize::MAX),
        step,
        offset: wire::number("offset", progress.offset)?,
        total: wire::number("total", progress.total)?,
        chain: progress.chain_id.try_into()?,
    })
}
