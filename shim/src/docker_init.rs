//! The `docker-init` applet: a first process for containers whose program does not reap children. It starts the
//! program, forwards signals to it, reaps every orphan, and exits with the program's status.
//!
//! The program has a process group of its own, in the foreground of the terminal: the kernel sends the signal of a
//! typed control-C to the program alone, and the applet does not forward it a second time.
//!
//! The binary is static, so that it runs in any root.

#![allow(unsafe_code)]

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use nix::sys::signal::{SigSet, Signal};
use rustix::process::{WaitOptions, wait};

/// Runs `arguments`, without a leading `--`, as a child of this process.
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
    let mut command = Command::new(program);
    command.args(rest).process_group(0);
    // SAFETY: the closure makes system calls only, which are async-signal-safe.
    unsafe { command.pre_exec(become_child) };
    let child = match command.spawn() {
        Ok(child) => child.id().cast_signed(),
        Err(error) => {
            eprintln!("exec {program}: {error}");
            return ExitCode::from(match error.kind() {
                std::io::ErrorKind::NotFound => 127,
                _ => 126,
            });
        }
    };
    loop {
        match wait_for_signal(&all) {
            libc::SIGCHLD => {
                if let Some(status) = reap(child) {
                    return ExitCode::from(status);
                }
            }
            number => {
                // SAFETY: kill(2) touches no memory.
                let _ = unsafe { libc::kill(child, number) };
            }
        }
    }
}

/// Puts the calling process's group into the foreground of its terminal, if it has one; then unblocks the signals,
/// whose mask the program would inherit from its parent.
fn become_child() -> std::io::Result<()> {
    // SIGTTOU is blocked here: otherwise it would stop a group in the background for this call.
    let _ = rustix::termios::tcsetpgrp(rustix::stdio::stdin(), rustix::process::getpgrp());
    Ok(SigSet::empty().thread_set_mask()?)
}

/// Waits for a signal of `set`. Returns its number, because real-time signals have no name.
fn wait_for_signal(set: &SigSet) -> i32 {
    let mut number = 0;
    // SAFETY: both point to what lives until the call is over. It fails for a bad set only, and this is none.
    unsafe { libc::sigwait(set.as_ref(), &mut number) };
    number
}

/// Reaps the children that have ended. Returns the status of `child` if it is among them.
fn reap(child: i32) -> Option<u8> {
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid.as_raw_nonzero().get() == child {
            let signalled = status.terminating_signal().map(|signal| 128 + signal);
            if let Some(status) = status.exit_status().or(signalled) {
                return Some(status as u8);
            }
        }
    }
    None
}
