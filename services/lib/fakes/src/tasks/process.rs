//! One process of the fake tasks service.

use std::time::SystemTime;

use gantry_api::tasks::{ExitStatus, Stdio};
use gantry_types::Signal;
use tokio::sync::watch;

use super::Program;

/// The status of a killed process.
pub(super) const KILLED: u32 = 128 + 9;

/// The phase of a process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Life {
    Created,
    Running,
    Stopped(ExitStatus),
    /// Deleted without having run.
    Gone,
}

/// A process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) arguments: String,
    pub(super) stdio: Stdio,
    /// The program, once the process runs.
    program: Option<Program>,
    life: watch::Sender<Life>,
}

impl Process {
    pub(super) fn new(arguments: &str, stdio: Stdio) -> Self {
        let life = watch::Sender::new(Life::Created);
        Self { arguments: arguments.to_owned(), stdio, program: None, life }
    }

    pub(super) fn life(&self) -> Life {
        *self.life.borrow()
    }

    pub(super) fn watch(&self) -> watch::Receiver<Life> {
        self.life.subscribe()
    }

    pub(super) fn runs(&self) -> bool {
        self.life() == Life::Running
    }

    pub(super) fn reads(&self) -> bool {
        self.runs() && self.program == Some(Program::Reads)
    }

    pub(super) fn run(&mut self, program: Program) {
        self.program = Some(program);
        self.life.send_replace(Life::Running);
    }

    /// Ends the process, unless it has ended.
    pub(super) fn end(&mut self, code: u32) {
        self.life.send_if_modified(|life| {
            let lives = matches!(life, Life::Created | Life::Running);
            if lives {
                *life = Life::Stopped(ExitStatus { code, at: Some(SystemTime::now()) });
            }
            lives
        });
    }

    /// Tells waiting clients that the process will never end, if it has not.
    pub(super) fn remove(&mut self) {
        self.life.send_if_modified(|life| {
            let ended = matches!(life, Life::Stopped(_));
            if !ended {
                *life = Life::Gone;
            }
            !ended
        });
    }
}

/// Whether the default action of a signal ends a process: signal(7).
pub(crate) fn ends(signal: Signal) -> bool {
    // The null signal, CHLD, CONT, the stop signals, URG, WINCH.
    !matches!(signal.number(), 0 | 17..=23 | 28)
}

/// The arguments at a place in an OCI runtime specification, joined by spaces.
pub(super) fn arguments(json: &[u8], place: &str) -> Option<String> {
    let document: serde_json::Value = serde_json::from_slice(json).ok()?;
    let arguments = document.pointer(place)?.as_array()?;
    let texts: Option<Vec<&str>> = arguments.iter().map(serde_json::Value::as_str).collect();
    Some(texts?.join(" "))
}
