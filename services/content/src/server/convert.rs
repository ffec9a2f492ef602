//! Between the wire and the store.

use gantry_proto::containerd::services::content::v1 as pb;
use gantry_types::Digest;

use crate::record::BlobInfo;
use crate::store::IngestStatus;
use crate::{Error, Result};

pub(crate) fn digest(text: &str) -> Result<Digest> {
    Ok(text.parse()?)
}

/// A digest that may be left out.
pub(crate) fn optional_digest(text: &str) -> Result<Option<Digest>> {
    match text {
        "" => Ok(None),
        text => digest(text).map(Some),
    }
}

/// A size or an offset.
pub(crate) fn number(field: &'static str, value: i64) -> Result<u64> {
    u64::try_from(value).map_err(|_| Error::BadNumber { field, value })
}

pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn info(info: BlobInfo) -> pb::Info {
    pb::Info {
        digest: info.digest.to_string(),
        size: signed(info.size),
        created_at: Some(info.created_at.into()),
        updated_at: Some(info.updated_at.into()),
        labels: info.labels.into(),
    }
}

pub(super) fn status(status: IngestStatus) -> pb::Status {
    pb::Status {
        started_at: Some(status.started_at.into()),
        updated_at: Some(status.updated_at.into()),
        r#ref: status.reference,
        offset: signed(status.offset),
        total: signed(status.total),
        expected: status.expected.map(|digest| digest.to_string()).unwrap_or_default(),
    }
}
