//! What a container does, in Docker's word.

/// What a container does, in Docker's word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// It has never run.
    #[default]
    Created,
    /// Its process runs.
    Running,
    /// A user has frozen it.
    Paused,
    /// Its policy starts it again.
    Restarting,
    /// It is being unmade.
    Removing,
    /// It has run.
    Exited,
    /// It could not be unmade.
    Dead,
}

impl Status {
    /// The word.
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
