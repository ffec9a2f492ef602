//! Why a process could not be made or started: in words for people, and as a cause for programs. The cause is known where the
//! failure is; nobody reads it out of the words again.

use std::fmt;

use gantry_proto::gantry::shim::v1 as pb;
use serde::{Deserialize, Serialize};

/// A process that could not be made or started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartFailure {
    /// One line for people.
    pub message: String,
    pub cause: Cause,
    /// Of the system call that failed; 0: it was none, or nobody knows.
    pub errno: i32,
    pub stage: Stage,
}

/// What a failure comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    Other,
    /// There is no such program, or nothing at a path that is needed.
    NotFound,
    /// It is there, and may not be run or entered.
    NotPermitted,
    /// The root's files do not have the user or the group.
    NoSuchUser,
}

/// How far a start had come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    #[default]
    Unknown,
    /// Its user, its directories and what is mounted were looked for in the root.
    Prepare,
    /// Its namespaces, mounts and cgroup were made.
    Make,
    /// The process was there, and was to become its program.
    Execute,
}

impl StartFailure {
    /// With a cause that is known.
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { message: message.into(), cause, errno: 0, stage: Stage::Unknown }
    }

    /// Of a system call.
    pub fn of_errno(errno: i32, message: impl Into<String>) -> Self {
        Self { errno, ..Self::new(Cause::of_errno(errno), message) }
    }

    /// At a stage, where nobody has said a later one.
    pub fn at(self, stage: Stage) -> Self {
        match self.stage {
            Stage::Unknown => Self { stage, ..self },
            Stage::Prepare | Stage::Make | Stage::Execute => self,
        }
    }

    /// With what was said nearer to its cause, which decides where nothing else does.
    pub fn because(self, nearer: Self) -> Self {
        let cause = if self.cause == Cause::Other { nearer.cause } else { self.cause };
        Self { message: format!("{}: {}", self.message, nearer.message), cause, ..self }
    }

    /// With more before its words.
    pub fn within(self, what: &str) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }

    /// As it is told on the wire.
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
    /// What an error of the kernel's comes to.
    pub fn of_errno(errno: i32) -> Self {
        match errno {
            libc::ENOENT | libc::ENOTDIR => Self::NotFound,
            libc::EACCES | libc::EISDIR => Self::NotPermitted,
            _ => Self::Other,
        }
    }

    /// A shell's status for a program that could not be started.
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

/// Of which nothing but words is known.
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
