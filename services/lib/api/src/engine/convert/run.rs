//! Conversions of requests about running containers.

use gantry_proto::gantry::engine::v1 as pb;

use crate::engine::{AttachPoint, AttachSpec, CommitSpec, Condition, Exit, Opened, RemoveSpec, StopSpec};

alike!(StopSpec, pb::StopRequest { container, signal, timeout, until_boot });

alike!(RemoveSpec, pb::RemoveRequest { container, force, volumes, link });

alike!(Exit, pb::wait_response::Exit { status_code, error });

alike!(AttachSpec, pb::attach_request::Open { container, stdin, stdout, stderr, logs, stream });

alike!(Opened, pb::attach_response::Opened { id, tty, open_stdin, stdin_once });

alike!(AttachPoint, pb::AttachPoint { socket, exec_id, tty, stdin_once });

alike!(
    CommitSpec,
    pb::CommitRequest { container, reference, comment, author, pause, changes, config: maybe }
);

impl From<pb::wait_request::Condition> for Condition {
    fn from(condition: pb::wait_request::Condition) -> Self {
        match condition {
            pb::wait_request::Condition::NotRunning => Condition::NotRunning,
            pb::wait_request::Condition::NextExit => Condition::NextExit,
            pb::wait_request::Condition::Removed => Condition::Removed,
        }
    }
}

impl From<Condition> for pb::wait_request::Condition {
    fn from(condition: Condition) -> Self {
        match condition {
            Condition::NotRunning => pb::wait_request::Condition::NotRunning,
            Condition::NextExit => pb::wait_request::Condition::NextExit,
            Condition::Removed => pb::wait_request::Condition::Removed,
        }
    }
}
