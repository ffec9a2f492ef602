//! What events tell.

/// What an event tells, for those events that services react to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A blob is gone.
    ContentDelete {
        /// Its digest.
        digest: String,
    },
    /// An image has a new name.
    ImageCreate {
        /// The name.
        name: String,
    },
    /// The record of an image's name has changed.
    ImageUpdate {
        /// The name.
        name: String,
    },
    /// An image has lost a name.
    ImageDelete {
        /// The name.
        name: String,
    },
    /// A snapshot is gone.
    SnapshotRemove {
        /// Its snapshotter.
        snapshotter: String,
        /// Its key or name.
        key: String,
    },
    /// The kernel has killed a process of a task for want of memory.
    TaskOom {
        /// The task.
        container: String,
    },
}
