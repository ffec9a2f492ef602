//! What is asked of a container that runs, or did.

use super::ContainerConfig;

/// How a container is to be stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StopSpec {
    /// Id, name or unique id prefix.
    pub container: String,
    /// Empty: the container's own.
    pub signal: String,
    /// Seconds; absent: the container's own; negative: for ever.
    pub timeout: Option<i64>,
    /// Gantry itself is going down: its restart policy counts when Gantry comes up.
    pub until_boot: bool,
}

/// How a container is to be removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoveSpec {
    /// Id, name or unique id prefix.
    pub container: String,
    /// Also while it runs.
    pub force: bool,
    /// With its anonymous volumes.
    pub volumes: bool,
    /// It is a link that is removed, not a container.
    pub link: bool,
}

/// How a container ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// Of its process.
    pub status_code: i64,
    /// Why it could not start or be removed; empty normally.
    pub error: String,
}

/// What who attaches wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttachSpec {
    /// Id, name or unique id prefix.
    pub container: String,
    /// To write.
    pub stdin: bool,
    /// To read its output.
    pub stdout: bool,
    /// To read its errors.
    pub stderr: bool,
    /// The log first: from the data socket.
    pub logs: bool,
    /// Without it nothing is followed.
    pub stream: bool,
}

/// What who attaches must know before it answers its own client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its process has a terminal.
    pub tty: bool,
    /// Its process can be written to.
    pub open_stdin: bool,
    /// Its input ends with the first who has written to it.
    pub stdin_once: bool,
}

/// Where to connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttachPoint {
    /// The shim's.
    pub socket: String,
    /// The process to name there.
    pub exec_id: String,
    /// It has a terminal.
    pub tty: bool,
    /// Its input ends with who writes to it.
    pub stdin_once: bool,
}

/// An image that is wanted of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitSpec {
    /// Id, name or unique id prefix.
    pub container: String,
    /// Canonical, with a tag; empty: the image has no name.
    pub reference: String,
    /// For its history.
    pub comment: String,
    /// Its author.
    pub author: String,
    /// The container is frozen meanwhile.
    pub pause: bool,
    /// Dockerfile instructions.
    pub changes: Vec<String>,
    /// Laid over the container's own.
    pub config: Option<ContainerConfig>,
}

/// What a wait is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// That the container does not run.
    #[default]
    NotRunning,
    /// That it ends once more.
    NextExit,
    /// That it is removed.
    Removed,
}

/// How large a terminal is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Lines.
    pub height: u32,
    /// Columns.
    pub width: u32,
}
