//! Requests about containers that run or have run.

use super::ContainerConfig;

/// A request to stop a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StopSpec {
    /// Id, name or unique id prefix.
    pub container: String,
    /// The signal, by name or number; empty for the container's stop signal.
    pub signal: String,
    /// Seconds until SIGKILL; `None` for the container's own timeout, negative for no limit.
    pub timeout: Option<i64>,
    /// Whether the stop is part of a shutdown of Gantry: the restart policy then acts when Gantry starts again.
    pub until_boot: bool,
}

/// A request to remove a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoveSpec {
    /// Id, name or unique id prefix.
    pub container: String,
    /// Whether a running container is killed first.
    pub force: bool,
    /// Whether its anonymous volumes are removed too.
    pub volumes: bool,
    /// Whether `container` names a link, which is removed instead of the container.
    pub link: bool,
}

/// How a container ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// Exit code of the container's process.
    pub status_code: i64,
    /// The error of a failed start or removal; empty otherwise.
    pub error: String,
}

/// The streams that a client attaches to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttachSpec {
    /// Id, name or unique id prefix.
    pub container: String,
    /// Whether the client writes to stdin.
    pub stdin: bool,
    /// Whether the client reads stdout.
    pub stdout: bool,
    /// Whether the client reads stderr.
    pub stderr: bool,
    /// Whether the log precedes the output; the stream then comes from the data socket.
    pub logs: bool,
    /// Whether the live output follows; without it only the log is sent.
    pub stream: bool,
}

/// What a server needs to know about an attachment before it answers its own client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Whether the process has a terminal.
    pub tty: bool,
    /// Whether clients can write to stdin.
    pub open_stdin: bool,
    /// Whether stdin closes when the first client that attached to it detaches.
    pub stdin_once: bool,
}

/// Where a client attaches to a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttachPoint {
    /// The path of the shim's socket.
    pub socket: String,
    /// The id of the process within the shim; empty for the container's first process.
    pub exec_id: String,
    /// Whether the process has a terminal.
    pub tty: bool,
    /// Whether stdin closes when the client closes its half of the connection.
    pub stdin_once: bool,
}

/// A request for an image of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitSpec {
    /// Id, name or unique id prefix.
    pub container: String,
    /// The canonical name with a tag; empty for an image without a name.
    pub reference: String,
    /// The comment for the image's history.
    pub comment: String,
    /// The image's author.
    pub author: String,
    /// Whether the container is frozen meanwhile.
    pub pause: bool,
    /// Dockerfile instructions.
    pub changes: Vec<String>,
    /// A configuration whose fields override the container's own.
    pub config: Option<ContainerConfig>,
}

/// The event that a wait is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// The container does not run.
    #[default]
    NotRunning,
    /// The container's next exit.
    NextExit,
    /// The container is removed.
    Removed,
}

/// The size of a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Lines.
    pub height: u32,
    /// Columns.
    pub width: u32,
}
