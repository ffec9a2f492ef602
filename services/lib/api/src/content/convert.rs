//! Conversion between the wire and the types of this module.

use gantry_proto::containerd::services::content::v1 as pb;
use gantry_proto::gantry::content::v1 as files;
use gantry_types::Labels;

use super::{Committed, Expected, Info, Status};
use crate::wire::{self, Invalid};

pub(super) fn info(info: Info) -> pb::Info {
    pb::Info {
        digest: info.digest.to_string(),
        size: wire::signed(info.size),
        created_at: Some(info.created_at.into()),
        updated_at: Some(info.updated_at.into()),
        labels: info.labels.into(),
    }
}

pub(super) fn parse_info(info: pb::Info) -> Result<Info, Invalid> {
    Ok(Info {
        digest: wire::digest(&info.digest)?,
        size: wire::number("size", info.size)?,
        created_at: wire::moment(info.created_at.as_ref()),
        updated_at: wire::moment(info.updated_at.as_ref()),
        labels: Labels::from(info.labels),
    })
}

pub(super) fn status(status: Status) -> pb::Status {
    let (total, expected) = expected(&status.expected);
    pb::Status {
        started_at: Some(status.started_at.into()),
        updated_at: Some(status.updated_at.into()),
        r#ref: status.reference.to_string(),
        offset: wire::signed(status.offset),
        total,
        expected,
    }
}

pub(super) fn parse_status(status: pb::Status) -> Result<Status, Invalid> {
    Ok(Status {
        reference: status.r#ref.try_into()?,
        offset: wire::number("offset", status.offset)?,
        expected: parse_expected(status.total, &status.expected)?,
        started_at: wire::moment(status.started_at.as_ref()),
        updated_at: wire::moment(status.updated_at.as_ref()),
    })
}

/// The fields `total` and `expected`.
pub(super) fn expected(expected: &Expected) -> (i64, String) {
    let digest = expected.digest.as_ref().map(ToString::to_string).unwrap_or_default();
    (wire::signed(expected.total.unwrap_or(0)), digest)
}

pub(super) fn parse_expected(total: i64, digest: &str) -> Result<Expected, Invalid> {
    Ok(Expected { digest: wire::optional_digest(digest)?, total: wire::optional_number("total", total)? })
}

pub(super) fn committed(blob: &Committed) -> files::Committed {
    files::Committed { status: None, digest: blob.digest.to_string(), size: wire::signed(blob.size) }
}
