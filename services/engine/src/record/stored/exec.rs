//! The stored form of an exec's request.

use gantry_api::{alike, engine as domain};

/// See [`domain::ExecSpec`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct ExecSpec {
    #[prost(string, tag = "1")]
    container: String,
    #[prost(bool, tag = "2")]
    attach_stdin: bool,
    #[prost(bool, tag = "3")]
    attach_stdout: bool,
    #[prost(bool, tag = "4")]
    attach_stderr: bool,
    #[prost(string, tag = "5")]
    detach_keys: String,
    #[prost(bool, tag = "6")]
    tty: bool,
    #[prost(string, repeated, tag = "7")]
    env: Vec<String>,
    #[prost(string, repeated, tag = "8")]
    cmd: Vec<String>,
    #[prost(bool, tag = "9")]
    privileged: bool,
    #[prost(string, tag = "10")]
    user: String,
    #[prost(string, tag = "11")]
    working_dir: String,
    #[prost(uint32, tag = "12")]
    console_height: u32,
    #[prost(uint32, tag = "13")]
    console_width: u32,
}

alike!(
    domain::ExecSpec,
    ExecSpec {
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
