//! The record of a container.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::SystemTime;

use gantry_rpc::{Code, Coded};
use gantry_types::filter::{self, Fields};
use gantry_types::{ContainerId, Labels};
use prost_types::Any;

/// A container with the times of its record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// What is recorded.
    pub container: Container,
    /// When the record was created.
    pub created: SystemTime,
    /// When the record was last changed.
    pub updated: SystemTime,
}

/// What is recorded of a container. [`Container::validate`] tells what the types do not.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    /// Its id.
    pub id: ContainerId,
    /// Labels; garbage collection and the restart monitor interpret some of them.
    pub labels: Labels,
    /// The name of the image, empty for none.
    pub image: String,
    /// The runtime of its task.
    pub runtime: Runtime,
    /// What its task runs: in most cases the OCI runtime specification in JSON.
    pub spec: Any,
    /// The snapshotter of its root, empty for none.
    pub snapshotter: String,
    /// The key of its root's snapshot, empty for none.
    pub snapshot_key: String,
    /// What clients keep with it, by their names.
    pub extensions: BTreeMap<String, Any>,
    /// The sandbox in whose shim it runs, empty for none.
    pub sandbox: String,
}

/// The runtime of a container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Runtime {
    /// A name like `io.containerd.gantry.v2`, or the path of a shim's binary.
    pub name: String,
    /// Options for the shim.
    pub options: Option<Any>,
}

impl Record {
    /// A new record of a container, as of this moment.
    ///
    /// # Errors
    ///
    /// When the container is not valid.
    pub fn new(container: Container) -> Result<Self, InvalidRecord> {
        container.validate()?;
        let now = SystemTime::now();
        let labels = container.labels.without_empty();
        Ok(Self { container: Container { labels, ..container }, created: now, updated: now })
    }
}

impl Container {
    /// A container without labels, root and extensions.
    pub fn new(id: &ContainerId, runtime: impl Into<String>, spec: Any) -> Self {
        Self {
            id: id.clone(),
            labels: Labels::new(),
            image: String::new(),
            runtime: Runtime { name: runtime.into(), options: None },
            spec,
            snapshotter: String::new(),
            snapshot_key: String::new(),
            extensions: BTreeMap::new(),
            sandbox: String::new(),
        }
    }

    /// Checks that it can be recorded.
    ///
    /// # Errors
    ///
    /// When it cannot: the runtime, the snapshotter or an extension has no name, or a label is too long.
    pub fn validate(&self) -> Result<(), InvalidRecord> {
        self.labels.validate()?;
        if self.extensions.keys().any(String::is_empty) {
            return Err(self.invalid("an extension has no name"));
        }
        if self.runtime.name.is_empty() {
            return Err(self.invalid("it names no runtime"));
        }
        if !self.snapshot_key.is_empty() && self.snapshotter.is_empty() {
            return Err(self.invalid("it has a snapshot key but no snapshotter"));
        }
        Ok(())
    }

    pub(super) fn invalid(&self, reason: &'static str) -> InvalidRecord {
        InvalidRecord::Container { id: self.id.to_string(), reason }
    }
}

impl Fields for Record {
    fn field(&self, path: &[String]) -> Option<Cow<'_, str>> {
        let Container { id, labels, image, runtime, .. } = &self.container;
        let (first, rest) = path.split_first()?;
        let text = match (first.as_str(), rest) {
            ("id", []) => id.as_str(),
            ("image", []) => image,
            ("runtime", [field]) if field == "name" => &runtime.name,
            ("labels", key) => return filter::label(labels, key),
            _ => return None,
        };
        (!text.is_empty()).then_some(Cow::Borrowed(text))
    }
}

/// Why a container cannot be recorded, or a record not be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecord {
    /// The container is not valid, or what cannot change was to change.
    #[error("invalid container {id:?}: {reason}")]
    Container {
        /// The container.
        id: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An id or a label is not valid, or an update names a field that cannot change.
    #[error(transparent)]
    Argument(#[from] gantry_types::Error),
}

impl Coded for InvalidRecord {
    fn code(&self) -> Code {
        match self {
            InvalidRecord::Container { .. } | InvalidRecord::Argument(_) => Code::InvalidArgument,
        }
    }
}
