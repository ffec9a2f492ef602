//! Changes of records.

use std::collections::BTreeMap;

use gantry_types::Relabel;
use prost_types::Any;

use super::{Container, InvalidRecord};

/// A change of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// Replaces everything that can change. The snapshotter and the runtime's name must be those of the record.
    Whole(Container),
    /// Changes some fields; the others stay.
    Part(Part),
}

/// The fields to change. One that is `None` stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// The labels.
    pub labels: Option<Relabel>,
    /// The name of the image.
    pub image: Option<String>,
    /// What its task runs.
    pub spec: Option<Any>,
    /// The key of its root's snapshot.
    pub snapshot_key: Option<String>,
    /// The extensions.
    pub extensions: Option<Extensions>,
}

/// A change of the extensions.
#[derive(Clone, Debug, PartialEq)]
pub enum Extensions {
    /// Replaces all of them.
    All(BTreeMap<String, Any>),
    /// Sets these, or removes those that are `None`; the others stay.
    Each(BTreeMap<String, Option<Any>>),
}

impl Update {
    /// Whether it names nothing to change.
    pub fn is_empty(&self) -> bool {
        let Update::Part(Part { labels, image, spec, snapshot_key, extensions }) = self else { return false };
        let no_label =
            labels.as_ref().is_none_or(|change| matches!(change, Relabel::Each(each) if each.is_empty()));
        let no_extension = extensions
            .as_ref()
            .is_none_or(|change| matches!(change, Extensions::Each(each) if each.is_empty()));
        no_label && no_extension && image.is_none() && spec.is_none() && snapshot_key.is_none()
    }

    /// The container after the change.
    ///
    /// # Errors
    ///
    /// When it is not valid, or something else was to change.
    pub fn applied_to(self, container: &Container) -> Result<Container, InvalidRecord> {
        let changed = match self {
            Update::Whole(wanted) => whole(container, wanted)?,
            Update::Part(part) => part.applied_to(container)?,
        };
        changed.validate()?;
        Ok(changed)
    }
}

fn whole(container: &Container, wanted: Container) -> Result<Container, InvalidRecord> {
    if container.snapshotter != wanted.snapshotter {
        return Err(container.invalid("the snapshotter cannot change"));
    }
    if container.runtime.name != wanted.runtime.name {
        return Err(container.invalid("the runtime cannot change"));
    }
    Ok(Container {
        id: container.id.clone(),
        runtime: container.runtime.clone(),
        sandbox: container.sandbox.clone(),
        labels: wanted.labels.without_empty(),
        ..wanted
    })
}

impl Part {
    fn applied_to(self, container: &Container) -> Result<Container, InvalidRecord> {
        let mut changed = container.clone();
        if let Some(change) = &self.labels {
            changed.labels.relabel(change)?;
        }
        match self.extensions {
            Some(Extensions::All(extensions)) => changed.extensions = extensions,
            Some(Extensions::Each(extensions)) => {
                for (name, extension) in extensions {
                    match extension {
                        Some(extension) => changed.extensions.insert(name, extension),
                        None => changed.extensions.remove(&name),
                    };
                }
            }
            None => {}
        }
        changed.image = self.image.unwrap_or(changed.image);
        changed.spec = self.spec.unwrap_or(changed.spec);
        changed.snapshot_key = self.snapshot_key.unwrap_or(changed.snapshot_key);
        Ok(changed)
    }
}
