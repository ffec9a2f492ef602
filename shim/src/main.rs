//! `containerd-shim-gantry-v2`: holds the processes, stdio, logs and exit statuses of one container or one pod. It
//! runs without any service.
//!
//! The binary has several programs:
//!
//! ```text
//! … start | delete | -v | -info     containerd's shim-v2 protocol, see `command`
//! … serve                           the shim itself, started by `start`, see `serve`
//! … runtime                         the short-lived helper that makes containers, see `runtime`
//! … init, or named docker-init      a first process that reaps, see `docker_init`
//! ```
//!
//! Invariant: the shim has one thread. It starts other programs and copies of itself, and never forks without exec.

#![allow(clippy::disallowed_methods, reason = "a shim ends with its containers: nobody else tells it to")]

use std::process::ExitCode;

mod async_fd;
mod command;
mod container;
mod control;
mod docker_init;
mod error;
mod events;
mod exit;
mod helper;
mod mounts;
mod oom;
mod process;
mod reaper;
mod runtime;
mod serve;
mod server;
mod signal;
mod stdio;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let name = arguments.next().unwrap_or_default();
    let arguments: Vec<String> = arguments.collect();
    if name.rsplit('/').next() == Some("docker-init") {
        return docker_init::run(&arguments);
    }
    match arguments.first().map(String::as_str) {
        Some("init") => docker_init::run(&arguments[1..]),
        Some("runtime") => runtime::run(&arguments[1..]),
        Some("serve") => serve::run(&arguments[1..]),
        _ => command::run(&arguments),
    }
}
