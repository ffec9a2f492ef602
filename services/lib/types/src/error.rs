//! Errors of invalid arguments.

/// A value that does not parse or violates a rule. For a client it is `INVALID_ARGUMENT`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not `algorithm:hex`, an algorithm that is not supported, or a hex part of the wrong length.
    #[error("invalid digest {value:?}: {reason}")]
    Digest {
        /// The value.
        value: String,
        /// The violated rule.
        reason: &'static str,
    },
    /// An image reference that does not parse.
    #[error("invalid reference format: {reason}")]
    Reference {
        /// The violated rule, with the wrong part.
        reason: String,
    },
    /// A namespace, container id or part of a topic that is not an identifier.
    #[error(
        "identifier {value:?} must match ^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$ and have 1 to 76 characters"
    )]
    Identifier {
        /// The value.
        value: String,
    },
    /// A label whose key and value are too long together.
    #[error("label {key:?}: key and value have {length} bytes together, at most {max} are allowed", max = crate::Labels::MAX_BYTES)]
    Label {
        /// The label's key, shortened.
        key: String,
        /// How many bytes key and value have.
        length: usize,
    },
    /// An update mask with a field that does not exist or cannot change.
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
        /// The offset in bytes.
        offset: usize,
        /// The reason.
        reason: String,
    },
    /// A text that is not a signal.
    #[error("invalid signal: {value}")]
    Signal {
        /// The value.
        value: String,
    },
    /// A number that is not a signal. The message is Docker's.
    #[error("the linux daemon does not support signal {number}")]
    NoSuchSignal {
        /// The value.
        number: i64,
    },
    /// A platform that is not `os/arch[/variant]`.
    #[error("invalid platform {value:?}: {reason}")]
    Platform {
        /// The value.
        value: String,
        /// The violated rule.
        reason: &'static str,
    },
}
