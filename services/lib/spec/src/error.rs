//! The errors of this crate; the user can correct all of them.

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A parameter from which no spec can be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A capability that Linux does not have.
    #[error("unknown capability: \"{0}\"")]
    UnknownCapability(String),
    /// A seccomp profile does not parse.
    #[error("decoding seccomp profile failed")]
    SeccompProfile {
        /// The parser's error.
        #[source]
        source: serde_json::Error,
    },
    /// A seccomp profile names its architectures in both ways.
    #[error("seccomp profile has both architectures and archMap")]
    SeccompArchitectures,
    /// A security option without a value.
    #[error("invalid --security-opt 1: {0:?}")]
    SecurityOption(String),
    /// A security option with an unknown name or value.
    #[error("invalid --security-opt 2: {0:?}")]
    SecurityOptionValue(String),
    /// A path without a device.
    #[error("error gathering device information while adding custom device {path:?}: {reason}")]
    NoDevice {
        /// The path on the host.
        path: String,
        /// The reason.
        reason: String,
    },
    /// A device rule is not of the form `c 42:* rmw`.
    #[error("invalid device cgroup rule format: '{0}'")]
    DeviceRule(String),
    /// A device access is not of `rwm`.
    #[error("invalid device mode: {0}")]
    DeviceAccess(String),
    /// A block device with a limit does not exist.
    #[error("cannot use block device {path}")]
    BlockDevice {
        /// The path on the host.
        path: String,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
    /// An unknown rlimit.
    #[error("invalid ulimit type: {0}")]
    Ulimit(String),
    /// A violation of the spec's own rules.
    #[error("runtime specification")]
    Incomplete {
        /// The rule.
        #[from]
        source: oci_spec::OciSpecError,
    },
}
