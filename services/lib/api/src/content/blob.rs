//! A committed blob.

use std::borrow::Cow;
use std::time::SystemTime;

use gantry_types::filter::{self, Fields};
use gantry_types::{Digest, Labels};

/// A blob, as a namespace sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Info {
    /// The digest of the bytes.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// When the namespace got the blob.
    pub created_at: SystemTime,
    /// When the labels last changed.
    pub updated_at: SystemTime,
    /// The labels that clients have set.
    pub labels: Labels,
}

impl Fields for Info {
    fn field(&self, path: &[String]) -> Option<Cow<'_, str>> {
        match path.first().map(String::as_str) {
            Some("digest") => Some(self.digest.as_str().into()),
            Some("labels") => filter::label(&self.labels, &path[1..]),
            _ => None,
        }
    }
}
