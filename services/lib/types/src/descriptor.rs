//! Descriptors: media type, digest and size of content.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// An OCI content descriptor, without the fields that only an index's entries have.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type, see [`crate::media_type`].
    pub media_type: String,
    /// The digest of the bytes.
    pub digest: Digest,
    /// The size in bytes.
    pub size: u64,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// A descriptor without annotations.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Descriptor { media_type: media_type.into(), digest, size, annotations: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_that_of_the_specification() {
        let descriptor = Descriptor::new("application/x", Digest::sha256(b"x"), 1);
        let json = format!(r#"{{"mediaType":"application/x","digest":"{}","size":1}}"#, Digest::sha256(b"x"));
        assert_eq!(serde_json::to_string(&descriptor).unwrap(), json);
        assert_eq!(serde_json::from_str::<Descriptor>(&json).unwrap(), descriptor);
        assert!(serde_json::from_str::<Descriptor>(&json.replace(":1}", ":-1}")).is_err());
    }
}
