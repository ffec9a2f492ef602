//! The `docker-init` applet: a first process for containers whose program does
//! not reap. It starts the program, forwards signals to it, reaps every orphan,
//! and ends with the program's status.
//!
//! The binary is static, so that it can be bind-mounted into any root.

use std::process::{Command, ExitCode};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Runs `arguments` (a leading `--` is skipped) as the child of a tiny init.
pub fn run(arguments: &[String]) -> ExitCode {
    let arguments = match arguments.first().map(String::as_str) {
        Some("--") => &arguments[1..],
        _ => arguments,
    };
    let Some((program, rest)) = arguments.split_first() else {
        eprintln!("usage: init [--] program [argument...]");
        return ExitCode::from(64);
    };
    let mut all = SigSet::all();
    for fault in [
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGFPE,
        Signal::SIGILL,
        Signal::SIGABRT,
        Signal::SIGTRAP,
        Signal::SIGSYS,
    ] {
        all.remove(fault);
    }
    if all.thread_block().is_err() {
        return ExitCode::FAILURE;
    }
    // The standard library gives the child an empty signal mask and the default SIGPIPE.
    let child = match Command::new(program).args(rest).spawn() {
        Ok(child) => Pid::from_raw(child.id().cast_signed()),
        Err(error) => {
            eprintln!("exec {program}: {error}");
            return ExitCode::from(match error.kind() {
                std::io::ErrorKind::NotFound => 127,
                _ => 126,
            });
        }
    };
    loop {
        match all.wait() {
            Ok(Signal::SIGCHLD) => {
                if let Some(status) = reap(child) {
                    return ExitCode::from(status);
                }
            }
            Ok(signal) => {
                let _ = kill(child, signal);
            }
            Err(_) => {}
        }
    }
}

/// Collects what has ended; the status of `child` if it is among it.
fn reap(child: Pid) -> Option<u8> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) if pid == child => return Some(status as u8),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                return Some(128 + signal as u8);
            }
            Ok(WaitStatus::StillAlive) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}
