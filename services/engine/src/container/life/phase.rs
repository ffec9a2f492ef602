//! The phases of a container, and the values that exist in one phase only.

use std::sync::Arc;

use gantry_api::network::Netns;

/// What a container does now.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Phase {
    /// The container has never run.
    #[default]
    Created,
    /// The task is made and takes attachments. Until its process runs, clients see the phase from before the start.
    Starting {
        /// The phase from before the start.
        from: Rest,
    },
    /// The container has a process, running or frozen.
    Running(Running),
    /// The container has run and is at rest.
    Exited,
    /// The container has run and waits for its restart policy to start it.
    Restarting {
        /// Whether the restart waits until the engine starts anew.
        held: bool,
    },
    /// The container has run, and the run was ended in order to remove the container.
    Ended,
    /// The container is being removed.
    Removing,
    /// The removal failed.
    Dead,
    /// The container is removed.
    Removed,
}

/// The phase from which a start begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// See [`Phase::Created`].
    Created,
    /// See [`Phase::Exited`].
    Exited,
    /// See [`Phase::Restarting`].
    Restarting,
}

/// What only a running container has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Running {
    /// Process id of the container's first process.
    pub pid: u32,
    /// The network namespace; `None` for a container without one of its own, and until recovery has asked for it.
    pub netns: Option<Arc<Netns>>,
    /// Whether the processes are frozen.
    pub pause: Pause,
    /// Whether a stop is in progress: the end of the run is reported as a stop.
    pub stopping: bool,
    /// What happens after the run's end.
    pub then: Then,
}

/// Whether a container's processes are frozen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pause {
    /// The processes run.
    #[default]
    No,
    /// A user has frozen the processes.
    ByHand,
    /// A commit has frozen the processes. The record says that they run, so that an engine which starts meanwhile
    /// thaws them.
    ForImage,
}

/// What happens after the end of a run. Of two wishes the later one in this list is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Then {
    /// The restart policy decides.
    #[default]
    Policy,
    /// Nothing now, because Gantry shuts down: the restart policy acts at the next boot.
    Boot,
    /// The caller that ended the run starts the container again.
    Start,
    /// The caller that ended the run removes the container.
    Remove,
}
