//! Execs: further processes in a container.

/// A request for an exec.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecSpec {
    /// Id, name or unique id prefix.
    pub container: String,
    /// Whether the client that starts the exec attaches to stdin.
    pub attach_stdin: bool,
    /// Whether that client attaches to stdout.
    pub attach_stdout: bool,
    /// Whether that client attaches to stderr.
    pub attach_stderr: bool,
    /// The keys that detach a Docker client; the engine only stores them.
    pub detach_keys: String,
    /// Whether the process has a terminal.
    pub tty: bool,
    /// `NAME=value`; overrides the container's variables.
    pub env: Vec<String>,
    /// The program and its arguments.
    pub cmd: Vec<String>,
    /// Whether the process has all capabilities.
    pub privileged: bool,
    /// `user[:group]`; empty for the container's user.
    pub user: String,
    /// The working directory; empty for the container's.
    pub working_dir: String,
    /// Lines of the terminal at the start; 0 for the default.
    pub console_height: u32,
    /// Columns of the terminal at the start; 0 for the default.
    pub console_width: u32,
}

/// An exec.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exec {
    /// 64 hexadecimal digits.
    pub id: String,
    /// The container's id.
    pub container_id: String,
    /// Whether the process was started and has not ended.
    pub running: bool,
    /// Exit code; `None` until the process has ended.
    pub exit_code: Option<i32>,
    /// Process id; 0 without a process.
    pub pid: u32,
    /// The request.
    pub spec: ExecSpec,
    /// Docker's API has the field; it changes nothing.
    pub can_remove: bool,
}
