//! What cannot be run, and why: always the asker's to change.

/// A result of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Something that was asked for and makes no specification.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A capability that Linux does not have.
    #[error("unknown capability: \"{0}\"")]
    UnknownCapability(String),
    /// A seccomp profile that is none.
    #[error("decoding seccomp profile failed")]
    SeccompProfile {
        /// Where it breaks.
        #[source]
        source: serde_json::Error,
    },
    /// A seccomp profile that says twice for which processors it is.
    #[error("seccomp profile has both architectures and archMap")]
    SeccompArchitectures,
    /// A security option without a value.
    #[error("invalid --security-opt 1: {0:?}")]
    SecurityOption(String),
    /// A security option of no known name or value.
    #[error("invalid --security-opt 2: {0:?}")]
    SecurityOptionValue(String),
    /// A path where there is no device.
    #[error("error gathering device information while adding custom device {path:?}: {reason}")]
    NoDevice {
        /// On the host.
        path: String,
        /// What is there instead.
        reason: String,
    },
    /// Not of the form `c 42:* rmw`.
    #[error("invalid device cgroup rule format: '{0}'")]
    DeviceRule(String),
    /// Not a selection of `rwm`.
    #[error("invalid device mode: {0}")]
    DeviceAccess(String),
    /// A block device that is to be limited and cannot be found.
    #[error("cannot use block device {path}")]
    BlockDevice {
        /// On the host.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// An rlimit of no known name.
    #[error("invalid ulimit type: {0}")]
    Ulimit(String),
    /// What the specification's own rules refuse.
    #[error("runtime specification")]
    Incomplete {
        /// Which rule.
        #[from]
        source: oci_spec::OciSpecError,
    },
}
