//! What a name stands for, and how that is written on the wire and on disk.

use std::time::SystemTime;

use gantry_proto::containerd::services::images::v1 as pb;
use gantry_proto::containerd::types;
use gantry_types::filter::{self, Fields};
use gantry_types::{Descriptor, Labels};
use std::borrow::Cow;

use crate::error::Error;

/// Names of images that have lost their last tag, or never had one, begin like this and end with their digest.
pub const DANGLING: &str = "moby-dangling@";

/// One image record: a name and what it points at.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Free text; for Docker a canonical reference.
    pub name: String,
    /// A manifest or an index.
    pub target: Descriptor,
    /// Free labels; some mean something to the garbage collection.
    pub labels: Labels,
    /// When the name was first given.
    pub created: SystemTime,
    /// When it was last changed.
    pub updated: SystemTime,
}

impl Record {
    /// A record of now.
    pub fn new(name: impl Into<String>, target: Descriptor) -> Self {
        let now = SystemTime::now();
        Self { name: name.into(), target, labels: Labels::new(), created: now, updated: now }
    }

    /// The name under which an image without a tag is kept.
    pub fn dangling_name(target: &Descriptor) -> String {
        format!("{DANGLING}{}", target.digest)
    }

    /// Whether it keeps an image without a tag.
    pub fn is_dangling(&self) -> bool {
        self.name.starts_with(DANGLING)
    }

    /// What a new record must have.
    pub fn validate(&self) -> Result<(), Error> {
        let lacks = |what: &str| Err(Error::Request(format!("image {:?}: {what}", self.name)));
        if self.name.is_empty() {
            return lacks("a name is required");
        }
        if self.target.media_type.is_empty() {
            return lacks("the target's media type is required");
        }
        if self.target.size == 0 {
            return lacks("the target's size is required");
        }
        self.labels.validate()?;
        Ok(())
    }
}

impl Fields for Record {
    fn field(&self, path: &[String]) -> Option<Cow<'_, str>> {
        let (first, rest) = path.split_first()?;
        match (first.as_str(), rest) {
            ("name", []) => Some(Cow::Borrowed(&self.name)),
            ("target", [field]) if field == "digest" => Some(Cow::Borrowed(self.target.digest.as_str())),
            ("target", [field]) if field == "mediatype" => Some(Cow::Borrowed(&self.target.media_type)),
            ("labels", _) => filter::label(&self.labels, rest),
            ("annotations", _) => {
                self.target.annotations.get(&rest.join(".")).map(|value| Cow::Borrowed(value.as_str()))
            }
            _ => None,
        }
    }
}

impl From<Record> for pb::Image {
    fn from(record: Record) -> Self {
        Self {
            name: record.name,
            labels: record.labels.into(),
            target: Some(descriptor(&record.target)),
            created_at: Some(record.created.into()),
            updated_at: Some(record.updated.into()),
        }
    }
}

impl TryFrom<pb::Image> for Record {
    type Error = Error;

    fn try_from(image: pb::Image) -> Result<Self, Error> {
        let target = image
            .target
            .ok_or_else(|| Error::Request(format!("image {:?}: a target is required", image.name)))?;
        Ok(Self {
            name: image.name,
            target: read_descriptor(target)?,
            labels: Labels::from(image.labels).without_empty(),
            created: moment(image.created_at),
            updated: moment(image.updated_at),
        })
    }
}

/// A moment off the wire; what is missing or out of range is the epoch.
pub fn moment(timestamp: Option<prost_types::Timestamp>) -> SystemTime {
    timestamp.and_then(|timestamp| SystemTime::try_from(timestamp).ok()).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// A descriptor for the wire.
pub fn descriptor(descriptor: &Descriptor) -> types::Descriptor {
    types::Descriptor {
        media_type: descriptor.media_type.clone(),
        digest: descriptor.digest.to_string(),
        size: i64::try_from(descriptor.size).unwrap_or(i64::MAX),
        annotations: descriptor.annotations.clone().into_iter().collect(),
    }
}

/// A descriptor off the wire.
pub fn read_descriptor(descriptor: types::Descriptor) -> Result<Descriptor, Error> {
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
