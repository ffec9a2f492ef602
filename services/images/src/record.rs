//! What a name stands for, and how that is written on disk: as containerd's message of it.

use std::time::SystemTime;

use gantry_proto::containerd::services::images::v1 as pb;
use gantry_proto::containerd::types;
use gantry_types::{Descriptor, Labels};

pub use gantry_api::images::Record;

use crate::error::Error;

/// What a new record must have.
pub fn validate(record: &Record) -> Result<(), Error> {
    let lacks = |what: &str| Err(Error::Request(format!("image {:?}: {what}", record.name)));
    if record.name.is_empty() {
        return lacks("a name is required");
    }
    if record.target.media_type.is_empty() {
        return lacks("the target's media type is required");
    }
    if record.target.size == 0 {
        return lacks("the target's size is required");
    }
    record.labels.validate()?;
    Ok(())
}

/// A record for the disk.
pub fn stored(record: Record) -> pb::Image {
    pb::Image {
        name: record.name,
        labels: record.labels.into(),
        target: Some(descriptor(&record.target)),
        created_at: Some(record.created.into()),
        updated_at: Some(record.updated.into()),
    }
}

/// A record off the disk.
pub fn read(image: pb::Image) -> Result<Record, Error> {
    let target = image
        .target
        .ok_or_else(|| Error::Request(format!("image {:?}: a target is required", image.name)))?;
    Ok(Record {
        name: image.name,
        target: read_descriptor(target)?,
        labels: Labels::from(image.labels).without_empty(),
        created: moment(image.created_at),
        updated: moment(image.updated_at),
    })
}

/// A moment off the disk; what is missing or out of range is the epoch.
fn moment(timestamp: Option<prost_types::Timestamp>) -> SystemTime {
    timestamp.and_then(|timestamp| SystemTime::try_from(timestamp).ok()).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// A descriptor as containerd has it.
pub fn descriptor(descriptor: &Descriptor) -> types::Descriptor {
    types::Descriptor {
        media_type: descriptor.media_type.clone(),
        digest: descriptor.digest.to_string(),
        size: i64::try_from(descriptor.size).unwrap_or(i64::MAX),
        annotations: descriptor.annotations.clone().into_iter().collect(),
    }
}

/// The reverse.
fn read_descriptor(descriptor: types::Descriptor) -> Result<Descriptor, Error> {
    let size = u64::try_from(descriptor.size).map_err(|_| {
        Error::Request(format!("{} has the impossible size {}", descriptor.digest, descriptor.size))
    })?;
    Ok(Descriptor {
        media_type: descriptor.media_type,
        digest: descriptor.digest.parse()?,
        size,
        annotations: descriptor.annotations.into_iter().collect(),
    })
}
