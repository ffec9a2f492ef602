//! Requests for logs of containers.

/// A selection of log lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Id, name or unique id prefix.
    pub container: String,
    /// Whether the stream continues while the container runs.
    pub follow: bool,
    /// Whether to send lines of stdout.
    pub stdout: bool,
    /// Whether to send lines of stderr.
    pub stderr: bool,
    /// Time of the oldest line, nanoseconds since 1970; 0 for no limit.
    pub since: i64,
    /// Time of the youngest line, nanoseconds since 1970; 0 for no limit.
    pub until: i64,
    /// Whether each line begins with its time.
    pub timestamps: bool,
    /// Whether each line begins with the attributes of the log driver.
    pub details: bool,
    /// The number of last lines to send; negative for all.
    pub tail: i64,
}
