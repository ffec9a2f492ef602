//! Why an argument was refused.

/// A value that does not parse, or breaks a rule of its kind. To a client all of these are `INVALID_ARGUMENT`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not `algorithm:hex`, an algorithm that is not supported, or a hex part of the wrong length.
    #[error("invalid digest {value:?}: {reason}")]
    Digest {
        /// What was given.
        value: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// An image reference outside the grammar.
    #[error("invalid reference format: {reason}")]
    Reference {
        /// The rule it breaks, naming the offending part.
        reason: String,
    },
    /// A namespace, container id or topic part outside the identifier grammar.
    #[error(
        "identifier {value:?} must match ^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$ and have 1 to 76 characters"
    )]
    Identifier {
        /// What was given.
        value: String,
    },
    /// A label whose key and value are too long together.
    #[error("label {key:?}: key and value have {length} bytes together, at most {max} are allowed", max = crate::Labels::MAX_BYTES)]
    Label {
        /// The label's key, cut to a readable length.
        key: String,
        /// The bytes of key and value.
        length: usize,
    },
    /// An update mask that names a field which does not exist or cannot change.
    #[error("field {path:?} cannot be updated")]
    UpdateMask {
        /// The path in the mask.
        path: String,
    },
    /// A filter that does not parse.
    #[error("filter {filter:?}: {reason} at offset {offset}")]
    Filter {
        /// The whole filter.
        filter: String,
        /// Where in it, in bytes.
        offset: usize,
        /// What was found or missed there.
        reason: String,
    },
    /// A platform that is not `os/arch[/variant]`.
    #[error("invalid platform {value:?}: {reason}")]
    Platform {
        /// What was given.
        value: String,
        /// The rule it breaks.
        reason: &'static str,
    },
}
