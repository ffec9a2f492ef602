//! Conversion between the wire and the types of this module.

mod usage;

use std::time::SystemTime;

use gantry_proto::containerd::services::tasks::v1 as pb;
use gantry_proto::containerd::types;
use gantry_proto::containerd::v1::types as wire;
use gantry_types::{ContainerId, ProcessId};
use prost_types::Timestamp;

pub(super) use self::usage::usage;
use super::{CreateTask, Deleted, ExecProcess, ExitStatus, Metric, Process, ProcessInfo, Status, Stdio};
use crate::snapshots::convert::{mounts, parse_mounts};
use crate::time;
use crate::wire::{Invalid, moment};

/// The exit time of a process that has not ended: Go's zero time, as containerd sends it.
const NEVER: Timestamp = Timestamp { seconds: -62_135_596_800, nanos: 0 };

pub(super) fn create(task: CreateTask) -> pb::CreateTaskRequest {
    let Stdio { stdin, stdout, stderr, terminal } = task.stdio;
    pb::CreateTaskRequest {
        container_id: task.container.to_string(),
        rootfs: mounts(task.rootfs),
        stdin,
        stdout,
        stderr,
        terminal,
        options: task.options,
        runtime_path: task.runtime_path,
        ..pb::CreateTaskRequest::default()
    }
}

pub(super) fn parse_create(container: ContainerId, request: pb::CreateTaskRequest) -> CreateTask {
    let pb::CreateTaskRequest { stdin, stdout, stderr, terminal, .. } = request;
    CreateTask {
        container,
        rootfs: parse_mounts(request.rootfs),
        stdio: Stdio { stdin, stdout, stderr, terminal },
        options: request.options,
        runtime_path: request.runtime_path,
    }
}

pub(super) fn exec(process: ExecProcess) -> pb::ExecProcessRequest {
    let Stdio { stdin, stdout, stderr, terminal } = process.stdio;
    pb::ExecProcessRequest {
        container_id: process.container.to_string(),
        exec_id: process.exec.to_string(),
        stdin,
        stdout,
        stderr,
        terminal,
        spec: process.spec,
    }
}

pub(super) fn parse_exec(
    container: ContainerId,
    request: pb::ExecProcessRequest,
) -> Result<ExecProcess, Invalid> {
    let pb::ExecProcessRequest { stdin, stdout, stderr, terminal, spec, .. } = request;
    let exec = request.exec_id.parse()?;
    Ok(ExecProcess { container, exec, stdio: Stdio { stdin, stdout, stderr, terminal }, spec })
}

pub(super) fn process(process: Process) -> wire::Process {
    let (status, exit) = match process.status {
        Status::Created => (wire::Status::Created, None),
        Status::Running => (wire::Status::Running, None),
        Status::Pausing => (wire::Status::Pausing, None),
        Status::Paused => (wire::Status::Paused, None),
        Status::Stopped(exit) => (wire::Status::Stopped, Some(exit)),
        Status::Unknown => (wire::Status::Unknown, None),
    };
    let ProcessId { container, exec } = process.id;
    let Stdio { stdin, stdout, stderr, terminal } = process.stdio;
    wire::Process {
        id: exec.map_or_else(|| container.to_string(), |exec| exec.to_string()),
        container_id: container.to_string(),
        pid: process.pid,
        status: status.into(),
        stdin,
        stdout,
        stderr,
        terminal,
        exit_status: exit.map_or(0, |exit| exit.code),
        exited_at: exit.map_or(Some(NEVER), |exit| timestamp(exit.at)),
    }
}

/// The process of a response. The container's id is the request's: an exec may have the same id as its container.
pub(super) fn parse_process(id: ProcessId, process: wire::Process) -> Process {
    let status = match process.status() {
        wire::Status::Created => Status::Created,
        wire::Status::Running => Status::Running,
        wire::Status::Pausing => Status::Pausing,
        wire::Status::Paused => Status::Paused,
        wire::Status::Stopped => Status::Stopped(exit(process.exit_status, process.exited_at)),
        wire::Status::Unknown => Status::Unknown,
    };
    let wire::Process { pid, stdin, stdout, stderr, terminal, .. } = process;
    Process { id, pid, status, stdio: Stdio { stdin, stdout, stderr, terminal } }
}

pub(super) fn parse_init(process: wire::Process) -> Result<Process, Invalid> {
    let container: ContainerId = process.id.parse()?;
    Ok(parse_process(ProcessId::init(&container), process))
}

pub(super) fn exit(code: u32, at: Option<Timestamp>) -> ExitStatus {
    // A sender that has not seen the exit may send Go's zero time.
    ExitStatus { code, at: at.filter(|at| at.seconds >= 0).map(|at| time::system_time(&at)) }
}

pub(super) fn timestamp(at: Option<SystemTime>) -> Option<Timestamp> {
    at.map(Into::into)
}

pub(super) fn deleted(id: impl ToString, deleted: Deleted) -> pb::DeleteResponse {
    let Deleted { pid, exit } = deleted;
    pb::DeleteResponse { id: id.to_string(), pid, exit_status: exit.code, exited_at: timestamp(exit.at) }
}

pub(super) fn parse_deleted(answer: pb::DeleteResponse) -> Deleted {
    Deleted { pid: answer.pid, exit: exit(answer.exit_status, answer.exited_at) }
}

pub(super) fn info(process: ProcessInfo) -> wire::ProcessInfo {
    wire::ProcessInfo { pid: process.pid, info: process.info }
}

pub(super) fn parse_info(process: wire::ProcessInfo) -> ProcessInfo {
    ProcessInfo { pid: process.pid, info: process.info }
}

pub(super) fn metric(metric: Metric) -> types::Metric {
    types::Metric { timestamp: Some(metric.at.into()), id: metric.container.to_string(), data: metric.data }
}

pub(super) fn parse_metric(metric: types::Metric) -> Result<Metric, Invalid> {
    let at = moment(metric.timestamp.as_ref());
    Ok(Metric { container: metric.id.parse()?, at, data: metric.data })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_process_is_the_same_on_both_sides_of_the_wire() {
        let container: ContainerId = "c".parse().expect("an id");
        let at = Some(UNIX_EPOCH + Duration::new(7, 9));
        for status in [
            Status::Created,
            Status::Running,
            Status::Pausing,
            Status::Paused,
            Status::Unknown,
            Status::Stopped(ExitStatus { code: 137, at }),
            Status::Stopped(ExitStatus { code: 3, at: None }),
        ] {
            let stdio = Stdio { stdin: "i".into(), stdout: "o".into(), stderr: "e".into(), terminal: true };
            let before = Process { id: ProcessId::init(&container), pid: 7, status, stdio };
            let sent = process(before.clone());
            assert_eq!(sent.exited_at == Some(NEVER), !matches!(status, Status::Stopped(_)), "{status:?}");
            assert_eq!(parse_init(sent), Ok(before));
        }
        // The answer of a runtime that has not seen the exit.
        assert_eq!(exit(255, Some(NEVER)), ExitStatus { code: 255, at: None });
    }
}
