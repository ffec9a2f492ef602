//! Conversions of execs.

use gantry_proto::gantry::engine::v1 as pb;

use crate::engine::execs::StartSpec;
use crate::engine::{Exec, ExecSpec, Window};

alike!(
    ExecSpec,
    pb::ExecCreateRequest {
        container,
        attach_stdin,
        attach_stdout,
        attach_stderr,
        detach_keys,
        tty,
        env,
        cmd,
        privileged,
        user,
        working_dir,
        console_height,
        console_width,
    }
);

alike!(Exec, pb::Exec { id, container_id, running, exit_code, pid, spec: required, can_remove });

impl From<StartSpec> for pb::exec_start_request::Open {
    fn from(spec: StartSpec) -> Self {
        pb::exec_start_request::Open {
            id: spec.id,
            detach: spec.detach,
            tty: spec.tty,
            console_height: spec.size.height,
            console_width: spec.size.width,
        }
    }
}

impl From<pb::exec_start_request::Open> for StartSpec {
    fn from(open: pb::exec_start_request::Open) -> Self {
        let size = Window { height: open.console_height, width: open.console_width };
        StartSpec { id: open.id, detach: open.detach, tty: open.tty, size }
    }
}
