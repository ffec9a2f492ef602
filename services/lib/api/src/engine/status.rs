//! The state of a container in Docker's words.

/// The state of a container in Docker's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// The container has never run.
    #[default]
    Created,
    /// The container's process runs.
    Running,
    /// The container's processes are frozen.
    Paused,
    /// The container has ended and waits for its restart policy to start it.
    Restarting,
    /// The container is being removed.
    Removing,
    /// The container has run.
    Exited,
    /// The removal of the container failed.
    Dead,
}

impl Status {
    /// Docker's word, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Restarting => "restarting",
            Status::Removing => "removing",
            Status::Exited => "exited",
            Status::Dead => "dead",
        }
    }
}
