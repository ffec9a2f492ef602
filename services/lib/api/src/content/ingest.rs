//! Bytes on their way to become a blob.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use gantry_types::filter::Fields;
use gantry_types::{Digest, Labels};

use crate::wire::Invalid;

/// The name of an ingest within its namespace: any text but the empty one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IngestRef(String);

impl IngestRef {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for IngestRef {
    type Error = Invalid;

    fn try_from(name: String) -> Result<Self, Invalid> {
        if name.is_empty() { Err(Invalid::NoReference) } else { Ok(Self(name)) }
    }
}

impl FromStr for IngestRef {
    type Err = Invalid;

    fn from_str(name: &str) -> Result<Self, Invalid> {
        name.to_owned().try_into()
    }
}

impl fmt::Display for IngestRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is said of a blob before it is there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expected {
    /// Its size, if that is known.
    pub total: Option<u64>,
    /// Its digest, if that is known.
    pub digest: Option<Digest>,
}

/// An ingest at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Its name.
    pub reference: IngestRef,
    /// How many bytes are there.
    pub offset: u64,
    /// What the blob is to be.
    pub expected: Expected,
    /// When it began.
    pub started_at: SystemTime,
    /// When something was last written.
    pub updated_at: SystemTime,
}

impl Fields for Status {
    fn field(&self, path: &[String]) -> Option<Cow<'_, str>> {
        (path == ["ref"]).then(|| self.reference.as_str().into())
    }
}

/// What a commit claims.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Commit {
    /// What the bytes must be; what the ingest was told before, where this says nothing.
    pub expected: Expected,
    /// The blob's first labels.
    pub labels: Labels,
}

/// What became of an ingest.
#[derive(Debug, Clone, PartialEq)]
pub struct Committed {
    /// Of the blob.
    pub digest: Digest,
    /// Of the blob, bytes.
    pub size: u64,
}
