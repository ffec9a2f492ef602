//! Requests that create and update a container.

use std::collections::HashMap;

use super::{ContainerConfig, EndpointSettings, HostConfig, Resources, RestartPolicy};

/// A request to create a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateSpec {
    /// The name; empty for a generated one.
    pub name: String,
    /// `os[/architecture[/variant]]`; empty for the machine's platform.
    pub platform: String,
    /// The configuration.
    pub config: ContainerConfig,
    /// The host configuration.
    pub host: HostConfig,
    /// The networks to connect at each start; the key is a network's name or id.
    pub networks: HashMap<String, EndpointSettings>,
    /// The version of Docker's API that the client has negotiated, `1.51`: some defaults depend on it. Empty for the
    /// newest.
    pub api_version: String,
}

/// A container that was created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Created {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Sentences for the user.
    pub warnings: Vec<String>,
}

/// A change of a container. Fields that are zero or absent leave the value unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// The limits.
    pub resources: Option<Resources>,
    /// The restart policy.
    pub restart_policy: Option<RestartPolicy>,
}
