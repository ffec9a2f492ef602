//! Runs.

use gantry_proto::gantry::engine::v1 as pb;

use crate::engine::{AttachPoint, AttachSpec, CommitSpec, Condition, Exit, Opened, RemoveSpec, StopSpec};

impl From<StopSpec> for pb::StopRequest {
    fn from(spec: StopSpec) -> Self {
        pb::StopRequest {
            container: spec.container,
            signal: spec.signal,
            timeout: spec.timeout,
            until_boot: spec.until_boot,
        }
    }
}

impl From<pb::StopRequest> for StopSpec {
    fn from(spec: pb::StopRequest) -> Self {
        StopSpec {
            container: spec.container,
            signal: spec.signal,
            timeout: spec.timeout,
            until_boot: spec.until_boot,
        }
    }
}

impl From<RemoveSpec> for pb::RemoveRequest {
    fn from(spec: RemoveSpec) -> Self {
        pb::RemoveRequest {
            container: spec.container,
            force: spec.force,
            volumes: spec.volumes,
            link: spec.link,
        }
    }
}

impl From<pb::RemoveRequest> for RemoveSpec {
    fn from(spec: pb::RemoveRequest) -> Self {
        RemoveSpec { container: spec.container, force: spec.force, volumes: spec.volumes, link: spec.link }
    }
}

impl From<Exit> for pb::wait_response::Exit {
    fn from(exit: Exit) -> Self {
        pb::wait_response::Exit { status_code: exit.status_code, error: exit.error }
    }
}

impl From<pb::wait_response::Exit> for Exit {
    fn from(exit: pb::wait_response::Exit) -> Self {
        Exit { status_code: exit.status_code, error: exit.error }
    }
}

impl From<AttachSpec> for pb::attach_request::Open {
    fn from(spec: AttachSpec) -> Self {
        pb::attach_request::Open {
            container: spec.container,
            stdin: spec.stdin,
            stdout: spec.stdout,
            stderr: spec.stderr,
            logs: spec.logs,
            stream: spec.stream,
        }
    }
}

impl From<pb::attach_request::Open> for AttachSpec {
    fn from(spec: pb::attach_request::Open) -> Self {
        AttachSpec {
            container: spec.container,
            stdin: spec.stdin,
            stdout: spec.stdout,
            stderr: spec.stderr,
            logs: spec.logs,
            stream: spec.stream,
        }
    }
}

impl From<Opened> for pb::attach_response::Opened {
    fn from(opened: Opened) -> Self {
        pb::attach_response::Opened {
            id: opened.id,
            tty: opened.tty,
            open_stdin: opened.open_stdin,
            stdin_once: opened.stdin_once,
        }
    }
}

impl From<pb::attach_response::Opened> for Opened {
    fn from(opened: pb::attach_response::Opened) -> Self {
        Opened {
            id: opened.id,
            tty: opened.tty,
            open_stdin: opened.open_stdin,
            stdin_once: opened.stdin_once,
        }
    }
}

impl From<AttachPoint> for pb::AttachPoint {
    fn from(point: AttachPoint) -> Self {
        pb::AttachPoint {
            socket: point.socket,
            exec_id: point.exec_id,
            tty: point.tty,
            stdin_once: point.stdin_once,
        }
    }
}

impl From<pb::AttachPoint> for AttachPoint {
    fn from(point: pb::AttachPoint) -> Self {
        AttachPoint {
            socket: point.socket,
            exec_id: point.exec_id,
            tty: point.tty,
            stdin_once: point.stdin_once,
        }
    }
}

impl From<CommitSpec> for pb::CommitRequest {
    fn from(spec: CommitSpec) -> Self {
        pb::CommitRequest {
            container: spec.container,
            reference: spec.reference,
            comment: spec.comment,
            author: spec.author,
            pause: spec.pause,
            changes: spec.changes,
            config: spec.config.map(Into::into),
        }
    }
}

impl From<pb::CommitRequest> for CommitSpec {
    fn from(spec: pb::CommitRequest) -> Self {
        CommitSpec {
            container: spec.container,
            reference: spec.reference,
            comment: spec.comment,
            author: spec.author,
            pause: spec.pause,
            changes: spec.changes,
            config: spec.config.map(Into::into),
        }
    }
}

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
