//! The differences between a container's root and its image.

/// A path that differs from the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The absolute path.
    pub path: String,
    /// The kind of difference.
    pub kind: ChangeKind,
}

/// The kind of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// The container has changed the path.
    Modified,
    /// The container has added the path.
    Added,
    /// The container has deleted the path.
    Deleted,
}
