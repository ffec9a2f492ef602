//! Finds out why a process has ended: one line, for the person who must act.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use gantry_daemon::{Roots, exit};
use rustix::process::Signal;

use super::log::Log;

/// A disk with less room than this, in bytes, counts as full: nothing starts on it.
const NO_SPACE: u64 = 1 << 20;

/// A service that does not start.
#[derive(Debug)]
pub struct Failure {
    pub service: &'static str,
    /// The reason.
    pub words: String,
}

/// Whether a process has ended by an error of its own: by its exit code, or by a signal that is not sent on purpose.
pub fn is_own(status: ExitStatus) -> bool {
    let fatal = [Signal::ABORT, Signal::SEGV, Signal::BUS, Signal::ILL, Signal::FPE, Signal::SYS];
    match status.signal() {
        Some(signal) => fatal.iter().any(|fatal| fatal.as_raw() == signal),
        None => !status.success(),
    }
}

/// The error message of a service that has ended; its log had `length` bytes when it started.
pub fn words(roots: &Roots, service: &str, status: ExitStatus, length: u64) -> String {
    let said = Log::of(roots, service).since(length);
    let mut words = last_words(&said, &format!("gantryd {service}: "))
        .unwrap_or_else(|| format!("it ended ({status}) and said nothing"));
    if status.code() == Some(exit::SETTINGS.into()) && !words.contains(".toml") {
        words.push_str(&format!(
            "; correct {service}.toml or GANTRY_{}_... in the environment",
            service.to_uppercase()
        ));
    }
    if let Some(full) = full_disk(roots) {
        words.push_str(&format!("; {full}"));
    }
    words
}

/// The message about a full disk, if it is full.
pub fn full_disk(roots: &Roots) -> Option<String> {
    [&roots.state, &roots.run].into_iter().find_map(|path| {
        let there = path.ancestors().find(|ancestor| ancestor.exists())?;
        let disk = rustix::fs::statvfs(there).ok()?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        (free < NO_SPACE).then(|| format!("the disk of {} is full: make room there", path.display()))
    })
}

/// The last line that begins as the program's own errors do, without that beginning; otherwise the last line that is not empty.
pub fn last_words(said: &str, beginning: &str) -> Option<String> {
    let lines = || said.lines().rev().filter(|line| !line.trim().is_empty());
    let own = lines().find_map(|line| line.strip_prefix(beginning));
    own.or_else(|| lines().next()).map(|line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_s_own_error_is_preferred() {
        let said = "INFO begun\ngantryd x: first\ngantryd x: listen on 1: taken\nat a.rs:1\n\n";
        assert_eq!(last_words(said, "gantryd x: ").as_deref(), Some("listen on 1: taken"));
        assert_eq!(last_words(said, "gantryd y: ").as_deref(), Some("at a.rs:1"));
        assert_eq!(last_words("\n \n", "gantryd x: "), None);
    }
}
