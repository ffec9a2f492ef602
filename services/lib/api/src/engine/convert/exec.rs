//! Further processes.

use gantry_proto::gantry::engine::v1 as pb;

use crate::engine::{Exec, ExecSpec};

impl From<ExecSpec> for pb::ExecCreateRequest {
    fn from(spec: ExecSpec) -> Self {
        pb::ExecCreateRequest {
            container: spec.container,
            attach_stdin: spec.attach_stdin,
            attach_stdout: spec.attach_stdout,
            attach_stderr: spec.attach_stderr,
            detach_keys: spec.detach_keys,
            tty: spec.tty,
            env: spec.env,
            cmd: spec.cmd,
            privileged: spec.privileged,
            user: spec.user,
            working_dir: spec.working_dir,
            console_height: spec.console_height,
            console_width: spec.console_width,
        }
    }
}

impl From<pb::ExecCreateRequest> for ExecSpec {
    fn from(spec: pb::ExecCreateRequest) -> Self {
        ExecSpec {
            container: spec.container,
            attach_stdin: spec.attach_stdin,
            attach_stdout: spec.attach_stdout,
            attach_stderr: spec.attach_stderr,
            detach_keys: spec.detach_keys,
            tty: spec.tty,
            env: spec.env,
            cmd: spec.cmd,
            privileged: spec.privileged,
            user: spec.user,
            working_dir: spec.working_dir,
            console_height: spec.console_height,
            console_width: spec.console_width,
        }
    }
}

impl From<Exec> for pb::Exec {
    fn from(exec: Exec) -> Self {
        pb::Exec {
            id: exec.id,
            container_id: exec.container_id,
            running: exec.running,
            exit_code: exec.exit_code,
            pid: exec.pid,
            spec: Some(exec.spec.into()),
            can_remove: exec.can_remove,
        }
    }
}

impl From<pb::Exec> for Exec {
    fn from(exec: pb::Exec) -> Self {
        Exec {
            id: exec.id,
            container_id: exec.container_id,
            running: exec.running,
            exit_code: exec.exit_code,
            pid: exec.pid,
            spec: exec.spec.unwrap_or_default().into(),
            can_remove: exec.can_remove,
        }
    }
}
