//! Between the wire and what the traits speak of.

use gantry_proto::containerd::services::snapshots::v1 as pb;
use gantry_proto::containerd::types;
use gantry_types::Labels;

use super::{Info, Kind, Mount, SnapshotName, Usage};
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
    // Fails only on the empty text.
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
