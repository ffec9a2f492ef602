//! The progress of pulls and pushes.

use std::time::Duration;

use gantry_rpc::Coded;
use gantry_types::Digest;

/// The events of an operation, until it is complete. Dropping it cancels the operation.
pub trait Progress: Send {
    /// The event.
    type Event: Send + 'static;
    /// The error of the operation.
    type Error: Coded + Send + Sync + 'static;

    /// The next event; `None` when the operation is complete.
    fn next(&mut self) -> impl Future<Output = Result<Option<Self::Event>, Self::Error>> + Send;
}

/// An event of a pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullEvent {
    /// The name is resolved; events of layers follow.
    Resolving {
        /// The repository without its registry.
        repository: String,
        /// The tag, or the digest.
        tag: String,
    },
    /// The state of a layer has changed.
    Layer(LayerProgress),
    /// The pull is complete; in a pull of all tags, the pull of one tag.
    Pulled {
        /// The canonical name.
        reference: String,
        /// The image's id.
        digest: Digest,
        /// Whether the pull brought nothing new.
        up_to_date: bool,
    },
}

/// The progress of a layer's pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerProgress {
    /// Its blob.
    pub digest: Digest,
    /// The layer's state.
    pub state: LayerState,
    /// Bytes that have arrived.
    pub current: u64,
    /// Bytes in total.
    pub total: u64,
    /// Time until the next attempt, in the state [`LayerState::Retrying`].
    pub retry: Duration,
}

/// The state of a layer's pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerState {
    /// The layer is requested.
    Pulling,
    /// The layer waits for other layers.
    Waiting,
    /// The layer's bytes arrive.
    Downloading,
    /// The layer's digest is checked.
    Verifying,
    /// The layer's blob is complete.
    Downloaded,
    /// The layer is being unpacked.
    Extracting,
    /// The layer is complete and unpacked.
    Complete,
    /// The layer existed before.
    Exists,
    /// The registry has failed and is asked again.
    Retrying,
}

/// An event of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushEvent {
    /// The push to this repository begins.
    Preparing {
        /// The repository with its registry.
        repository: String,
    },
    /// The state of a layer has changed.
    Layer(PushProgress),
    /// The registry has the tag.
    Pushed {
        /// The tag, or the digest.
        tag: String,
        /// Digest of the manifest or index.
        digest: Digest,
        /// Size of the manifest or index, bytes.
        size: u64,
    },
}

/// The progress of a layer's push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushProgress {
    /// Its blob.
    pub digest: Digest,
    /// The layer's state.
    pub state: PushState,
    /// Bytes that were sent.
    pub current: u64,
    /// Bytes in total.
    pub total: u64,
    /// The repository from which the registry has mounted the layer ([`PushState::Mounted`]); empty in other states.
    pub mounted_from: String,
}

/// The state of a layer's push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushState {
    /// The layer is requested.
    Preparing,
    /// The layer waits for other layers.
    Waiting,
    /// The layer's bytes are sent.
    Pushing,
    /// The registry has the layer.
    Pushed,
    /// The registry had the layer before.
    Exists,
    /// The registry has mounted the layer from another repository.
    Mounted,
}
