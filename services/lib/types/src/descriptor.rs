//! A pointer to content: what it is, its name, its size.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// An OCI content descriptor, without what only an index's entries have.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the bytes are, see [`crate::media_type`].
    pub media_type: String,
    /// The bytes' name.
    pub digest: Digest,
    /// The bytes' number.
    pub size: u64,
    /// Free text beside it.
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
