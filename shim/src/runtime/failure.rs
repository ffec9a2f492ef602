//! Why a process could not be made or started: a message for people, and a cause for programs. The step that fails
//! sets the cause; no later step derives it from the message.

use std::fmt;

use gantry_proto::gantry::shim::v1 as pb;
use serde::{Deserialize, Serialize};

/// A process that could not be made or started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartFailure {
    /// One line for people.
    pub message: String,
    pub cause: Cause,
    /// The error number of the system call that failed; 0: no system call failed, or the number is unknown.
    pub errno: i32,
    pub stage: Stage,
}

/// The cause of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    Other,
    /// The program, or a path that it needs, does not exist.
    NotFound,
    /// The program must not be executed, or a directory must not be entered.
    NotPermitted,
    /// The container's `/etc/passwd` or `/etc/group` does not have the user or the group.
    NoSuchUser,
}

/// The step that failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    #[default]
    Unknown,
    /// Looking up the user, the directories and the mounts in the container's root.
    Prepare,
    /// Making the namespaces, the mounts and the cgroup.
    Make,
    /// Executing the program.
    Execute,
}

impl StartFailure {
    /// A failure with a known cause.
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { message: message.into(), cause, errno: 0, stage: Stage::Unknown }
    }

    /// A failure of a system call.
    pub fn of_errno(errno: i32, message: impl Into<String>) -> Self {
        Self { errno, ..Self::new(Cause::of_errno(errno), message) }
    }

    /// Sets the stage, unless it is set to a later one.
    pub fn at(self, stage: Stage) -> Self {
        match self.stage {
            Stage::Unknown => Self { stage, ..self },
            Stage::Prepare | Stage::Make | Stage::Execute => self,
        }
    }

    /// Adds a failure nearer to the cause: its cause counts where this one's is unknown.
    pub fn because(self, nearer: Self) -> Self {
        let cause = if self.cause == Cause::Other { nearer.cause } else { self.cause };
        Self { message: format!("{}: {}", self.message, nearer.message), cause, ..self }
    }

    /// Prepends text to the message.
    pub fn within(self, what: &str) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }

    /// The detail for the wire.
    pub fn detail(&self) -> pb::StartFailure {
        let cause = match self.cause {
            Cause::Other => pb::start_failure::Cause::Other,
            Cause::NotFound => pb::start_failure::Cause::NotFound,
            Cause::NotPermitted => pb::start_failure::Cause::NotPermitted,
            Cause::NoSuchUser => pb::start_failure::Cause::NoSuchUser,
        };
        let stage = match self.stage {
            Stage::Unknown => pb::start_failure::Stage::Unknown,
            Stage::Prepare => pb::start_failure::Stage::Prepare,
            Stage::Make => pb::start_failure::Stage::Make,
            Stage::Execute => pb::start_failure::Stage::Execute,
        };
        pb::StartFailure { cause: cause.into(), errno: self.errno, stage: stage.into() }
    }
}

impl Cause {
    /// The cause of an error number.
    pub fn of_errno(errno: i32) -> Self {
        match errno {
            libc::ENOENT | libc::ENOTDIR => Self::NotFound,
            libc::EACCES | libc::EISDIR => Self::NotPermitted,
            _ => Self::Other,
        }
    }

    /// The exit status that a shell gives for such a failure.
    pub fn status(self) -> u32 {
        match self {
            Self::NotFound => 127,
            Self::NotPermitted => 126,
            Self::Other | Self::NoSuchUser => 255,
        }
    }
}

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A failure of which only the message is known.
impl From<String> for StartFailure {
    fn from(message: String) -> Self {
        Self::new(Cause::Other, message)
    }
}

impl From<&str> for StartFailure {
    fn from(message: &str) -> Self {
        message.to_string().into()
    }
}
