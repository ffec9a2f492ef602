//! Logs of containers.

/// Which lines are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Id, name or unique id prefix.
    pub container: String,
    /// Also those that come.
    pub follow: bool,
    /// Of its output.
    pub stdout: bool,
    /// Of its errors.
    pub stderr: bool,
    /// From then on; 0: all.
    pub since: i64,
    /// Until then; 0: for ever.
    pub until: i64,
    /// Each with its time.
    pub timestamps: bool,
    /// Each with the driver's attributes.
    pub details: bool,
    /// The last so many; negative: all.
    pub tail: i64,
}
