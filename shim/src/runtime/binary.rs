//! The runtime of any OCI runtime's binary (runc, crun, …): runs its commands, and reads the reason of a failure from
//! its log. The init becomes a child of the shim, because the shim is the nearest subreaper.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use oci_spec::runtime::LinuxResources;
use serde_json::Value;

use super::diagnosis;
use super::failure::StartFailure;
use super::libcontainer::Console;
use super::spec::Prepared;
use super::{Exec, Executed, Failure, Made, Runtime, Subject, launch};

/// A container that another program creates.
pub struct Binary {
    program: String,
    subject: Subject,
}

impl Binary {
    /// `program` is a path, or a name to look up in `PATH`.
    pub fn new(program: String, subject: Subject) -> Self {
        Self { program, subject }
    }

    fn log(&self) -> PathBuf {
        self.subject.bundle.join("log.json")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(self.subject.state());
        if self.subject.choice.systemd_cgroup {
            command.arg("--systemd-cgroup");
        }
        command.arg("--log").arg(self.log()).args(["--log-format", "json"]);
        command
    }

    /// Runs a command to its end. A failure has the message of the runtime's log.
    fn run(&self, mut command: Command) -> Result<(), StartFailure> {
        let _ = fs::remove_file(self.log());
        let status = command.status().map_err(|error| {
            let words = format!("OCI runtime {:?}: {}", self.program, error.to_string().to_lowercase());
            StartFailure::of_errno(error.raw_os_error().unwrap_or(0), words)
        })?;
        if status.success() {
            return Ok(());
        }
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let words = last_error(&log);
        Err(diagnosis::read(words.unwrap_or_else(|| format!("OCI runtime {:?}: {status}", self.program))))
    }

    fn quiet(&self, arguments: &[&str]) -> Result<(), StartFailure> {
        let mut command = self.command();
        command.args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.run(command)
    }

    /// Runs a command that creates a process. Returns the pid, and the master of the terminal if there is one.
    fn spawn(&self, mut command: Command, pid_file: &Path, terminal: bool) -> Result<Made, StartFailure> {
        let console = if terminal { Some(Console::listen(&self.subject.bundle)?) } else { None };
        if let Some(console) = &console {
            command.arg("--console-socket").arg(&console.path);
        }
        command.arg("--pid-file").arg(pid_file).arg(&self.subject.id);
        self.run(command)?;
        let pid = fs::read_to_string(pid_file)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .ok_or_else(|| format!("OCI runtime {:?} wrote no pid", self.program))?;
        let _ = fs::remove_file(pid_file);
        let console = console.map(Console::receive).transpose()?;
        Ok(Made { pid, console })
    }
}

impl Runtime for Binary {
    fn create(&mut self, spec: &Prepared) -> Result<Made, StartFailure> {
        let mut command = self.command();
        command.arg("create").arg("--bundle").arg(&self.subject.bundle);
        if self.subject.choice.no_pivot {
            command.arg("--no-pivot");
        }
        if self.subject.choice.no_new_keyring {
            command.arg("--no-new-keyring");
        }
        launch::give_pipes(spec.uid);
        self.spawn(command, &self.subject.bundle.join("init.pid"), spec.terminal)
    }

    fn start(&mut self) -> Result<(), StartFailure> {
        self.quiet(&["start", &self.subject.id])
    }

    fn exec(&mut self, request: &Exec) -> Result<Executed, StartFailure> {
        let name = format!("exec-{}", std::process::id());
        let description = self.subject.bundle.join(format!("{name}.json"));
        let bytes = serde_json::to_vec(&request.process).map_err(|error| error.to_string())?;
        crate::exit::private(&description)
            .and_then(|mut file| file.write_all(&bytes))
            .map_err(|error| format!("{}: {error}", description.display()))?;
        let terminal = request.process.terminal().unwrap_or(false);
        let mut command = self.command();
        command.args(["exec", "--detach", "--process"]).arg(&description);
        launch::give_pipes(request.process.user().uid());
        let made = self.spawn(command, &self.subject.bundle.join(format!("{name}.pid")), terminal);
        let _ = fs::remove_file(&description);
        made.map(|Made { pid, console }| Executed { pid, console })
    }

    fn update(&mut self, resources: &LinuxResources) -> Result<(), Failure> {
        let file = self.subject.bundle.join("resources.json");
        let bytes = serde_json::to_vec(resources).map_err(|error| error.to_string())?;
        fs::write(&file, bytes).map_err(|error| format!("{}: {error}", file.display()))?;
        let path = file.to_string_lossy();
        let done = self.quiet(&["update", "--resources", &path, &self.subject.id]);
        let _ = fs::remove_file(&file);
        done.map_err(|failure| failure.message)
    }

    fn delete(&mut self) -> Result<(), Failure> {
        self.quiet(&["delete", "--force", &self.subject.id]).map_err(|failure| failure.message)
    }
}

/// The message of the last error in a JSON log.
fn last_error(log: &str) -> Option<String> {
    log.lines()
        .rev()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|record| record["level"] == "error")
        .and_then(|record| Some(record["msg"].as_str()?.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_is_the_reason() {
        let log = "{\"level\":\"error\",\"msg\":\"a\"}\n{\"level\":\"warning\",\"msg\":\"b\"}\n\
                   {\"level\":\"error\",\"msg\":\"exec: \\\"x\\\"\"}\n{\"level\":\"debug\",\"msg\":\"c\"}\ntorn";
        assert_eq!(last_error(log), Some("exec: \"x\"".into()));
        assert_eq!(last_error(""), None);
    }
}
