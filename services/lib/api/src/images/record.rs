//! The record of an image's name.

use std::borrow::Cow;
use std::time::SystemTime;

use gantry_types::filter::{self, Fields};
use gantry_types::{Descriptor, Labels, Relabel};

/// The names of images without a tag begin like this and end with the image's digest.
const DANGLING: &str = "moby-dangling@";

/// A name and its target.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Any text; for Docker a canonical reference.
    pub name: String,
    /// A manifest or an index.
    pub target: Descriptor,
    /// Labels; garbage collection interprets some of them.
    pub labels: Labels,
    /// When the name was first given.
    pub created: SystemTime,
    /// When the record was last changed.
    pub updated: SystemTime,
}

impl Record {
    /// A record with the present time.
    pub fn new(name: impl Into<String>, target: Descriptor) -> Self {
        let now = SystemTime::now();
        Self { name: name.into(), target, labels: Labels::new(), created: now, updated: now }
    }

    /// The name under which an image without a tag is kept.
    pub fn dangling_name(target: &Descriptor) -> String {
        format!("{DANGLING}{}", target.digest)
    }

    /// Whether this record keeps an image without a tag.
    pub fn is_dangling(&self) -> bool {
        self.name.starts_with(DANGLING)
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

/// A request to create a record.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRecord {
    /// The name; not empty.
    pub name: String,
    /// The target, with a media type and a size.
    pub target: Descriptor,
    /// Its labels.
    pub labels: Labels,
    /// The time of creation to record; `None` for the present time.
    pub at: Option<SystemTime>,
}

impl NewRecord {
    /// A record without labels, with the present time.
    pub fn of(name: impl Into<String>, target: Descriptor) -> Self {
        Self { name: name.into(), target, labels: Labels::new(), at: None }
    }
}

/// A change of a record. A field that is `None` leaves the value unchanged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordUpdate {
    /// The new target.
    pub target: Option<Descriptor>,
    /// The annotations of the target.
    pub annotations: Option<Relabel>,
    /// Its labels.
    pub labels: Option<Relabel>,
    /// The time of the change to record; `None` for the present time.
    pub at: Option<SystemTime>,
}

impl RecordUpdate {
    /// Changes a record.
    ///
    /// # Errors
    ///
    /// A label is not valid. The record is then unchanged.
    pub fn apply(&self, record: &mut Record) -> Result<(), gantry_types::Error> {
        let mut labels = record.labels.clone();
        if let Some(change) = &self.labels {
            labels.relabel(change)?;
        }
        let mut target = self.target.as_ref().unwrap_or(&record.target).clone();
        if let Some(change) = &self.annotations {
            target.annotations = match change {
                Relabel::All(annotations) => annotations.clone().into(),
                Relabel::Each(annotations) => {
                    let mut all = target.annotations;
                    for (key, value) in annotations {
                        match value.is_empty() {
                            true => drop(all.remove(key)),
                            false => drop(all.insert(key.clone(), value.clone())),
                        }
                    }
                    all
                }
            };
        }
        (record.labels, record.target) = (labels, target);
        record.updated = self.at.unwrap_or_else(SystemTime::now);
        Ok(())
    }
}
