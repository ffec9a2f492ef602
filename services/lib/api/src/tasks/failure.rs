//! Why a process could not be made or started, for programs.

use gantry_proto::gantry::shim::v1 as pb;
use gantry_rpc::{Code, Coded};
use pb::start_failure as wire;

/// Why a process could not be made or started: a detail of the call's error, whose message is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartFailure {
    /// The cause.
    pub cause: Cause,
    /// The error number of the system call that failed, errno(3); 0: no system call failed, or the number is unknown.
    pub errno: i32,
    /// The step that failed.
    pub stage: Stage,
}

/// The cause of a failed start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Something else.
    Other,
    /// The program, or a path that it needs, does not exist.
    NotFound,
    /// The program must not be executed, or a directory must not be entered.
    NotPermitted,
    /// The container's `/etc/passwd` or `/etc/group` does not have the user or the group.
    NoSuchUser,
}

/// The step of a start that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The shim does not say.
    Unknown,
    /// Looking up the user, the directories and the mounts in the container's root.
    Prepare,
    /// Making the namespaces, the mounts and the cgroup.
    Make,
    /// Executing the program.
    Execute,
}

impl StartFailure {
    /// The failure in an error's details; `None` when the error has none, such as that of a shim written by others.
    pub fn of(error: &impl Coded) -> Option<Self> {
        gantry_proto::detail(&error.details()).map(parse)
    }

    /// The details of a status with this code and message.
    pub fn details(self, code: Code, message: &str) -> Vec<u8> {
        gantry_proto::details(tonic::Code::from(code).into(), message, &self.message())
    }

    fn message(self) -> pb::StartFailure {
        let cause = match self.cause {
            Cause::Other => wire::Cause::Other,
            Cause::NotFound => wire::Cause::NotFound,
            Cause::NotPermitted => wire::Cause::NotPermitted,
            Cause::NoSuchUser => wire::Cause::NoSuchUser,
        };
        let stage = match self.stage {
            Stage::Unknown => wire::Stage::Unknown,
            Stage::Prepare => wire::Stage::Prepare,
            Stage::Make => wire::Stage::Make,
            Stage::Execute => wire::Stage::Execute,
        };
        pb::StartFailure { cause: cause.into(), errno: self.errno, stage: stage.into() }
    }
}

fn parse(message: pb::StartFailure) -> StartFailure {
    let cause = match message.cause() {
        wire::Cause::Other => Cause::Other,
        wire::Cause::NotFound => Cause::NotFound,
        wire::Cause::NotPermitted => Cause::NotPermitted,
        wire::Cause::NoSuchUser => Cause::NoSuchUser,
    };
    let stage = match message.stage() {
        wire::Stage::Unknown => Stage::Unknown,
        wire::Stage::Prepare => Stage::Prepare,
        wire::Stage::Make => Stage::Make,
        wire::Stage::Execute => Stage::Execute,
    };
    StartFailure { cause, errno: message.errno, stage }
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;
    use crate::Failure;

    #[test]
    fn a_failure_is_read_out_of_a_status_and_only_where_it_is() {
        let failure = StartFailure { cause: Cause::NotPermitted, errno: 13, stage: Stage::Execute };
        let details = failure.details(Code::Internal, "no");
        let of = |status| {
            StartFailure::of(&Failure { service: "tasks", call: "start a process", status: Box::new(status) })
        };
        let status = Status::with_details(tonic::Code::Unknown, "no", details.into());
        assert_eq!(of(status), Some(failure));
        assert_eq!(of(Status::unknown("no")), None);
    }
}
