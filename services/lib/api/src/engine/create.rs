//! What a container is asked to be, and to become.

use std::collections::HashMap;

use super::{ContainerConfig, EndpointSettings, HostConfig, Resources, RestartPolicy};

/// A container that is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateSpec {
    /// Empty: made up.
    pub name: String,
    /// `os[/architecture[/variant]]`; empty: the machine's.
    pub platform: String,
    /// What it is.
    pub config: ContainerConfig,
    /// What it is given of its host.
    pub host: HostConfig,
    /// By network name or id.
    pub networks: HashMap<String, EndpointSettings>,
    /// The negotiated version of Docker's API, `1.51`: some defaults depend on it. Empty: the newest.
    pub api_version: String,
}

/// A container that was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Created {
    /// 64 hexadecimal digits.
    pub id: String,
    /// For the user.
    pub warnings: Vec<String>,
}

/// What is changed of a container. Zero and absent values stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Its limits.
    pub resources: Option<Resources>,
    /// When it is started again.
    pub restart_policy: Option<RestartPolicy>,
}
