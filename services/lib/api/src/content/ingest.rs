//! Ingests: bytes that become a blob.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use gantry_types::filter::Fields;
use gantry_types::{Digest, Labels};

use crate::wire::Invalid;

/// The name of an ingest in its namespace: any text but the empty one.
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

/// The expected blob.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expected {
    /// The size in bytes, if known.
    pub total: Option<u64>,
    /// The digest, if known.
    pub digest: Option<Digest>,
}

/// The status of an ingest.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Its name.
    pub reference: IngestRef,
    /// How many bytes are written.
    pub offset: u64,
    /// The expected blob.
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

/// The parameters of a commit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Commit {
    /// The expected blob; where a field is empty, the ingest's own expectation counts.
    pub expected: Expected,
    /// The blob's first labels.
    pub labels: Labels,
}

/// A committed blob.
#[derive(Debug, Clone, PartialEq)]
pub struct Committed {
    /// Digest of the blob.
    pub digest: Digest,
    /// Size of the blob, bytes.
    pub size: u64,
}
