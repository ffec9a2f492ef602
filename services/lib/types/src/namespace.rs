//! containerd namespaces.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::{Error, Result, identifier};

/// A containerd namespace: an [`identifier`], cheap to clone. A namespace exists while it has objects.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// The namespace of Docker's containers and images.
    pub fn moby() -> Self {
        Namespace("moby".into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Namespace {
    type Err = Error;

    fn from_str(value: &str) -> Result<Self> {
        identifier::validate(value)?;
        Ok(Namespace(value.into()))
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Namespace {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
