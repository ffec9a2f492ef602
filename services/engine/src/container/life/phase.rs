//! What a container can be doing, and what it has only while it does that.

use std::sync::Arc;

use gantry_api::network::Netns;

/// What a container does now.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Phase {
    /// It has never run.
    #[default]
    Created,
    /// Its task is made, which can be attached to; until its process runs, it is told as what it was.
    Starting {
        /// What it was.
        from: Rest,
    },
    /// It has a process, which runs or is frozen.
    Running(Running),
    /// It has run.
    Exited,
    /// It has run, and waits to be started by its policy.
    Restarting {
        /// Not before the engine comes up anew.
        held: bool,
    },
    /// It has run, and was ended in order to be removed.
    Ended,
    /// It is being unmade.
    Removing,
    /// It could not be unmade.
    Dead,
    /// It is no more.
    Removed,
}

/// Where a start begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// See [`Phase::Created`].
    Created,
    /// See [`Phase::Exited`].
    Exited,
    /// See [`Phase::Restarting`].
    Restarting,
}

/// What only a container has that runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Running {
    /// Of its first process.
    pub pid: u32,
    /// Its network; `None` where it has none of its own, and before recovery has asked.
    pub netns: Option<Arc<Netns>>,
    /// Whether it is frozen.
    pub pause: Pause,
    /// It is being stopped by hand: its end is told as that.
    pub stopping: bool,
    /// What its end is for.
    pub then: Then,
}

/// Whether a container's processes are frozen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pause {
    /// They run.
    #[default]
    No,
    /// A user has frozen them.
    ByHand,
    /// An image is being made of it: it is recorded as running, so that an engine which starts meanwhile thaws it.
    ForImage,
}

/// What is to come after the end of a run; of two wishes the later one in this list counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Then {
    /// What the policy says.
    #[default]
    Policy,
    /// Nothing now, for Gantry goes down: the policy waits for the next boot.
    Boot,
    /// It is started again by whoever ended it.
    Start,
    /// It is removed by whoever ended it.
    Remove,
}
