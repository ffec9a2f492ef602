//! What differs between a container's root and its image.

/// A path that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Absolute.
    pub path: String,
    /// How.
    pub kind: ChangeKind,
}

/// How a path differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is another one.
    Modified,
    /// The image has none.
    Added,
    /// The container has none.
    Deleted,
}
