//! A further process in a container.

/// A process that is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecSpec {
    /// Id, name or unique id prefix.
    pub container: String,
    /// Who starts it writes to it.
    pub attach_stdin: bool,
    /// Who starts it reads its output.
    pub attach_stdout: bool,
    /// Who starts it reads its errors.
    pub attach_stderr: bool,
    /// The client's.
    pub detach_keys: String,
    /// It has a terminal.
    pub tty: bool,
    /// `NAME=value`, over the container's.
    pub env: Vec<String>,
    /// The program and its arguments.
    pub cmd: Vec<String>,
    /// It has all capabilities.
    pub privileged: bool,
    /// Empty: the container's.
    pub user: String,
    /// Empty: the container's.
    pub working_dir: String,
    /// Lines of the terminal at its start.
    pub console_height: u32,
    /// Columns of the terminal at its start.
    pub console_width: u32,
}

/// A further process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exec {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its container.
    pub container_id: String,
    /// It was started and has not ended.
    pub running: bool,
    /// Absent until it has ended.
    pub exit_code: Option<i32>,
    /// 0 when there is none.
    pub pid: u32,
    /// What was asked for.
    pub spec: ExecSpec,
    /// For Docker's sake.
    pub can_remove: bool,
}
